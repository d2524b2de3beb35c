"""Decides which presets there are, and which is taken for a device when none is named. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.calibration.platforms import mismatches
from amp_runtime.calibration.preset import Peaks, Preset, peaks_of
from amp_runtime.calibration.preset_cpus import CPUS
from amp_runtime.calibration.preset_gpus import GPUS

if TYPE_CHECKING:
    from amp_runtime.calibration.machine import Machine

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (*CPUS, *GPUS)}


def compatible(machine: Machine, gpu_name: str | None = None) -> tuple[str, ...]:
    """Return the names of the presets that are of this machine: of its CPU, then of its GPU."""
    return tuple(name for name, preset in PRESETS.items() if not mismatches(preset, machine, gpu_name))


def recognised(machine: Machine, device: str, gpu_name: str | None = None) -> Preset | None:
    """Return the one preset that is of this device by all that can be seen of it; None where there is none or several.

    Args:
        device: `"cpu"` or `"cuda"`.
        gpu_name: as PyTorch has it.
    """
    found = [
        preset
        for preset in PRESETS.values()
        if preset.automatic and preset.device == device and not mismatches(preset, machine, gpu_name)
    ]
    return found[0] if len(found) == 1 else None


def peaks_for(machine: Machine, device: str, gpu_name: str | None = None, preset: Preset | None = None) -> Peaks:
    """Return the theoretical peaks of a device: those of the preset, or of the one that is recognised; else none.

    Raises:
        ValueError: the preset's peaks cannot be computed on this machine (`peaks_of`).
    """
    preset = preset or recognised(machine, device, gpu_name)
    return Peaks() if preset is None else peaks_of(preset, machine)
