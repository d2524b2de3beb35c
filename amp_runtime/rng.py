"""The state of every random generator a training run may draw from, as plain data that `weights_only` loads."""

from __future__ import annotations

import logging
import random
import sys
from types import ModuleType
from typing import Any

import torch

_log = logging.getLogger(__name__)


def capture() -> dict[str, Any]:
    """Return the state of Python's, PyTorch's and, where it is loaded, NumPy's global generator.

    PyTorch's are that of the CPU and those of every GPU (CUDA or ROCm, XPU, MPS).
    """
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate(), "numpy": None}
    state["cuda"] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    state["xpu"] = torch.xpu.get_rng_state_all() if torch.xpu.is_available() else []
    state["mps"] = [torch.mps.get_rng_state()] if torch.backends.mps.is_available() else []
    # A run that never imported NumPy has not drawn from it, and must not pay for it.
    if (numpy := sys.modules.get("numpy")) is not None:
        name, keys, position, has_gauss, gauss = numpy.random.get_state()
        state["numpy"] = (name, keys.tolist(), position, has_gauss, gauss)
    return state


def restore(state: dict[str, Any]) -> None:
    """Set the generators to a captured state. Other GPUs than at capture are left alone, and that is logged."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    _restore_gpus("CUDA", torch.cuda, torch.cuda.device_count() if torch.cuda.is_available() else 0, state["cuda"])
    _restore_gpus("XPU", torch.xpu, torch.xpu.device_count() if torch.xpu.is_available() else 0, state["xpu"])
    if state["mps"] and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"][0])
    elif state["mps"]:
        _log.warning("an MPS GPU when saved, none now: its generator was not restored")
    if state["numpy"] is not None:
        import numpy as np  # noqa: PLC0415 - only a run that used it needs it

        name, keys, position, has_gauss, gauss = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))


def _restore_gpus(kind: str, module: ModuleType, present: int, states: list[torch.Tensor]) -> None:
    if present == len(states):
        module.set_rng_state_all(states)
    else:
        _log.warning("%d %s GPUs when saved, %d now: their generators were not restored", len(states), kind, present)
