"""Say where something trains under AMP, and whether that device computes in its format."""

from __future__ import annotations

import numbers
import sys

from ..calibration.machine import machine_class
from ..wire import DeviceSeen
from .failure import safe_text


def device_seen(device: str, precision: str | None, samples: object = None) -> DeviceSeen:
    """Describe a device.

    Args:
        precision: "bf16" or "fp16", as the training states it or was seen to use it.
        samples: in one step, where the workload says so.
    """
    torch = sys.modules.get("torch")
    name, native, reason = device, None, "nothing says in which format it trains"
    if torch is None:
        reason = "torch is not loaded"
    elif precision in ("bf16", "fp16"):
        name, native, reason = _support(device, precision)
    return DeviceSeen(
        device=device,
        name=name,
        precision=precision,
        native=native,
        reason=reason,
        torch="" if torch is None else safe_text(torch.__version__),
        threads=1 if torch is None else int(torch.get_num_threads()),
        fp32_matmul="" if torch is None else safe_text(torch.get_float32_matmul_precision()),
        samples=int(samples) if isinstance(samples, numbers.Integral) and int(samples) > 0 else None,
        machine_class=_class_of(device, name),
    )


def _class_of(device: str, name: str) -> str:
    try:
        return machine_class(device, device_name=name if device.startswith("cuda") else None)
    except ValueError:  # a device of a kind that has no classes, or one that nothing here can name
        return ""


def _support(device: str, precision: str) -> tuple[str, bool | None, str]:
    """Return the device's name, whether it computes in the format, and how that is known."""
    from ..capability.knowledge import explain  # noqa: PLC0415 - needs torch
    from ..device import describe  # noqa: PLC0415

    try:
        described = describe(device)
    except ValueError as error:
        return device, None, safe_text(error)
    known = explain(described, precision)
    return described.name, known.native, known.reason
