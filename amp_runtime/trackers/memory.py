"""How much memory training has taken so far, in bytes."""

from __future__ import annotations

import psutil
import torch


def memory_figures(device: torch.device) -> dict[str, float]:
    """Return this process's resident memory now and, of a CUDA device, the most that tensors have taken so far."""
    figures = {"memory/host_bytes": float(psutil.Process().memory_info().rss)}
    if device.type == "cuda":
        figures["memory/device_peak_bytes"] = float(torch.cuda.max_memory_allocated(device))
    return figures
