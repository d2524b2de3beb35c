"""Decides where the profile of this machine lies, and whether a profile is of this machine at all. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .codec import ProfileError
from .machine import Machine, architecture_of, machine_class, this_machine
from .profile_files import load_profile

if TYPE_CHECKING:
    from .schema import HardwareCalibration

FOLDER = Path(".verify") / "calibration"


def profile_path(root: str | Path, device: str = "cpu", *, device_name: str | None = None) -> Path:
    """Return where `verify calibrate` puts the profile of a device of this machine.

    Raises:
        ValueError: the device has no machine class (`machine_class`).
    """
    return Path(root) / FOLDER / f"{machine_class(device, device_name=device_name)}.json"


def load_profile_for(
    root: str | Path, device: str = "cpu", *, device_name: str | None = None
) -> HardwareCalibration | None:
    """Return the profile that was measured on this machine for this device, or None where there is none.

    Args:
        root: of the project, which has `.verify/calibration`.
        device_name: of a GPU as PyTorch calls it, where the caller knows it.

    Raises:
        ProfileError: there is one, and it is damaged, or was measured elsewhere or on an unsteady machine.
        ValueError: a device of a kind that is not calibrated.
    """
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"{device!r} is not calibrated; cpu and cuda are")
    try:
        path = profile_path(root, device, device_name=device_name)
    except ValueError:  # a GPU that nothing here can name was not calibrated here either
        return None
    try:
        profile = load_profile(path)
    except FileNotFoundError:
        return None
    if problems := of_another_machine(profile, device, device_name=device_name):
        raise ProfileError(f"{path} was not measured here: {problems[0]}; measure again with `verify calibrate`")
    if (steady := profile.metadata.stability) is not None and steady.stable is False:
        why = f" ({steady.remarks[0]})" if steady.remarks else ""
        raise ProfileError(
            f"{path} was measured while the machine was not steady{why}; measure again with `verify calibrate` while "
            "nothing else runs"
        )
    return profile


def of_another_machine(
    profile: HardwareCalibration,
    device: str | None = None,
    *,
    machine: Machine | None = None,
    device_name: str | None = None,
) -> tuple[str, ...]:
    """Say by what one sees that a profile was not measured on this machine; empty where nothing speaks against it.

    Args:
        device: the profile must be of this device; None: of whichever it says.
    """
    machine = machine or this_machine()
    about = profile.metadata
    kind = (device or about.device_type).partition(":")[0]
    problems = []
    if about.device_type != kind:
        problems.append(f"it is of a {about.device_type} device, and {kind} is asked for")
    if architecture_of(about.platform_architecture) not in (machine.architecture, "unknown"):
        problems.append(f"it is of {about.platform_architecture}, and this machine is {machine.architecture}")
    if problems or about.machine_class is None:
        return tuple(problems)
    try:
        here = machine_class(device or about.device_type, machine=machine, device_name=device_name)
    except ValueError as error:
        return (f"it is of {about.machine_class}, and {error}",)
    return () if here == about.machine_class else (f"it is of {about.machine_class}, and this machine is {here}",)
