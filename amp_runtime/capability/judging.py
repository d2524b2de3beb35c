"""Decides from what was probed and what is known whether a format is native, emulated or absent on a device."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..device import DeviceDescription, describe
from .knowledge import explain
from .model import DTYPES, Capability, DtypeSupport, Probe
from .probing import probe


@functools.cache
def capability_of(device: str = "cpu") -> Capability:
    """Probe a device of this machine; the answer is kept, since it cannot change while the process lives.

    Raises:
        ValueError: a device that is not there or not known.
    """
    return judge(describe(device), probe)


def judge(device: DeviceDescription, try_dtype: Callable[[str, str], Probe]) -> Capability:
    """Combine what a device says of itself with what `try_dtype(torch_device, dtype)` saw on it.

    Only what was tried decides whether a format works; descriptions and tables say whether it is native, and why.
    """
    return Capability(device=device, dtypes={name: _judge_one(device, name, try_dtype) for name in DTYPES})


def _judge_one(device: DeviceDescription, name: str, try_dtype: Callable[[str, str], Probe]) -> DtypeSupport:
    seen = try_dtype(device.torch_device, name)
    if not seen.works:
        return DtypeSupport(works=False, native=False, reason=seen.detail, source="probe")
    known = explain(device, name)
    return DtypeSupport(works=True, native=known.native, reason=known.reason, source=f"probe; {known.source}")
