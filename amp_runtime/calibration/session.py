"""Decides which device is measured and against whose peaks, and what is said while that goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from amp_runtime.calibration.calibrator import calibrate
from amp_runtime.calibration.machine import this_machine
from amp_runtime.calibration.operations import OPERATIONS
from amp_runtime.calibration.options import Options, UsageError, near
from amp_runtime.calibration.platforms import mismatches
from amp_runtime.calibration.presets import PRESETS, compatible, recognised
from amp_runtime.device import require_device

if TYPE_CHECKING:
    from amp_runtime.calibration.preset import Preset
    from amp_runtime.calibration.schema import HardwareCalibration

Progress = Callable[[str, float], None]


def measure(options: Options) -> HardwareCalibration:
    """Measure what the options ask for.

    Raises:
        UsageError: a name is unknown, the device is not there, or the preset is not of this machine.
    """
    for name in options.operations or ():
        if name not in OPERATIONS:
            raise UsageError(f"there is no operation {name!r} to calibrate{near(name, OPERATIONS)}")
    named = _named(options.preset)
    device = _device(options, named)
    gpu_name = torch.cuda.get_device_name(torch.device(device)) if device != "cpu" else None
    problems = () if named is None else _problems(named, device, gpu_name)
    if problems and not options.skip_platform_check:
        raise UsageError(_wrong_platform(named, problems, gpu_name))
    preset = named or recognised(this_machine(), device.partition(":")[0], gpu_name)
    try:
        profile = calibrate(
            device,
            operations=options.operations,
            quick=options.quick,
            compiled=options.compiled,
            preset=preset,
            progress=_progress(options),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    return _noted(profile, preset, problems)


def _named(name: str | None) -> Preset | None:
    if name is None or name in PRESETS:
        return None if name is None else PRESETS[name]
    close = near(name, PRESETS)
    hint = close if "did you mean" in close else ""
    raise UsageError(f"there is no preset {name!r}{hint}; --list-presets lists them")


def _device(options: Options, preset: Preset | None) -> str:
    wanted = options.device or (preset.device if preset is not None else None)
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = wanted.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"--device {wanted}: calibrated are cpu and cuda")
    if kind == "cpu":
        return "cpu"
    try:
        require_device(wanted)
    except (ValueError, RuntimeError) as error:
        if options.device is None and preset is not None:
            machine = this_machine()
            problems = mismatches(preset, machine) or (str(error),)
            raise UsageError(_wrong_platform(preset, problems, None)) from None
        raise UsageError(str(error)) from None
    return wanted


def _problems(preset: Preset, device: str, gpu_name: str | None) -> tuple[str, ...]:
    kind = device.partition(":")[0]
    if preset.device != kind:
        return (f"it is of a {preset.device} device, and {kind} is to be measured",)
    return mismatches(preset, this_machine(), gpu_name)


def _wrong_platform(preset: Preset | None, problems: tuple[str, ...], gpu_name: str | None) -> str:
    assert preset is not None
    fitting = compatible(this_machine(), gpu_name)
    listed = f"presets of this machine: {', '.join(fitting)}" if fitting else "no preset is of this machine"
    return (
        f"the preset {preset.name} is not of this machine: {'; '.join(problems)}; {listed}; without --preset the "
        "device is recognised; --skip-platform-check takes the preset in spite of this"
    )


def _noted(profile: HardwareCalibration, preset: Preset | None, problems: tuple[str, ...]) -> HardwareCalibration:
    """Record what was checked of the preset, and what it was taken in spite of."""
    about = profile.metadata
    warnings = [f"preset {preset.name}, taken in spite of: {one}" for one in problems if preset is not None]
    check = None if preset is None else "skipped" if problems else "passed"
    bound = None if preset is None else preset.upper_bound
    noted = replace(about, platform_check=check, upper_bound=bound, warnings=(*about.warnings, *warnings))
    return replace(profile, metadata=noted)


def _progress(options: Options) -> Progress:
    if not options.progress:
        return lambda _what, _share: None
    return _live() if sys.stderr.isatty() else _plain()


def _live() -> Progress:
    began = time.monotonic()

    def tell(what: str, done: float) -> None:
        text = f"calibrating, {100 * done:3.0f} %, {time.monotonic() - began:3.0f} s: {what}"[:98]
        sys.stderr.write(f"\r\x1b[K{text}" if done < 1 else "\r\x1b[K")
        sys.stderr.flush()

    return tell


def _plain() -> Progress:
    """Say a line for each kind of operation: a log needs no more."""
    told: set[str] = set()

    def tell(what: str, done: float) -> None:
        kind = what.partition(" ")[0]
        if kind not in told:
            told.add(kind)
            sys.stderr.write(f"verify: calibrate: {100 * done:.0f} %, {what}\n")
            sys.stderr.flush()

    return tell
