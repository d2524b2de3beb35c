"""Devices that nobody needs to own, and what a probe would see on them."""

from __future__ import annotations

from amp_runtime.capability import Probe
from amp_runtime.device import DeviceDescription


def works(_device, name):
    return Probe(works=True, detail=f"{name} ran")


def lacking(*names):
    return lambda _device, name: Probe(works=name not in names, detail=f"{name} failed: not implemented")


def cpu(*flags):
    return DeviceDescription(
        kind="cpu", torch_device="cpu", name="test CPU", flags=frozenset(flags), flags_source="this test"
    )


def nvidia(major, minor=0):
    return DeviceDescription(kind="cuda", torch_device="cuda", name="test GPU", compute_capability=(major, minor))


def amd(architecture):
    return DeviceDescription(kind="rocm", torch_device="cuda", name="test GPU", architecture=architecture)


def intel(**claims):
    return DeviceDescription(kind="xpu", torch_device="xpu", name="test GPU", claims=claims)


def apple(name):
    return DeviceDescription(kind="mps", torch_device="mps", name=name)


def levels(found):
    return {name: support.level for name, support in found.dtypes.items()}
