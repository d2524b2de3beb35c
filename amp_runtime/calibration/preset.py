"""Decides what a preset says of a device, and what that makes of its peaks on the machine at hand. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.calibration.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one core does in a cycle in a format: a fused multiply-add counts as two operations.

    Args:
        flag: the CPU feature that it needs, in the spelling of Linux; virtual machines can lack it.
    """

    precision: str
    operations_per_cycle: int
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Theoretical peaks of a device: dense, in 10^9 operations a second, without sparsity.

    Args:
        name: as the command line has it.
        device: `"cpu"` or `"cuda"` (which in PyTorch includes AMD's GPUs).
        platforms: architectures of the machines it is found in.
        peak_bandwidth: of memory, GB/s; of one socket where peaks are given per core. None: not stated.
        theoretical_peaks: of the whole device, by precision.
        per_core: in their place, for CPUs of which a machine may have any number of cores.
        clock_ghz: at which a core reaches them; None: the highest that the system states.
        model: a pattern of the whole name that drivers or systems give the device, in any case; empty: any name.
        cpu_ids: what the processor says of itself (`Machine.cpu_id`); empty: anything.
        board: a pattern of what the firmware calls the board, where the name is not enough.
        flags: CPU features without which it is not this device.
        automatic: taken without being named where it fits.
        source: whose document of which year.
        derivation: how the figures follow from it.
        upper_bound: the peaks are at least those of the device, as for a series by its fastest part; what is computed
            from them is then the least that the efficiency can be.
    """

    name: str
    hardware_name: str
    device: str
    platforms: tuple[str, ...]
    source: str
    derivation: str
    peak_bandwidth: float | None = None
    theoretical_peaks: Mapping[str, float] = field(default_factory=dict)
    per_core: tuple[Unit, ...] = ()
    clock_ghz: float | None = None
    model: str = ""
    cpu_ids: tuple[str, ...] = ()
    board: str = ""
    flags: tuple[str, ...] = ()
    automatic: bool = True
    upper_bound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What a preset comes to on one machine; all empty without a preset."""

    preset: str | None = None
    theoretical_peaks: Mapping[str, float] = field(default_factory=dict)
    bandwidth_gbps: float | None = None
    upper_bound: bool = False
    source: str | None = None


def peaks_of(preset: Preset, machine: Machine) -> Peaks:
    """Return the peaks of this machine's device.

    Raises:
        ValueError: the preset needs the highest clock of the processor, and this system does not state it.
    """
    if not preset.per_core:
        return Peaks(
            preset=preset.name,
            theoretical_peaks=dict(preset.theoretical_peaks),
            bandwidth_gbps=preset.peak_bandwidth,
            upper_bound=preset.upper_bound,
            source=f"{preset.source}: {preset.derivation}",
        )
    clock_ghz = preset.clock_ghz or machine.max_clock_ghz
    if clock_ghz is None:
        raise ValueError(
            f"the preset {preset.name} computes peaks from the processor's highest clock, which this system does not "
            "state; leave out --preset to calibrate without peaks"
        )
    rates: dict[str, int] = {}
    for unit in preset.per_core:
        if not unit.flag or unit.flag in machine.cpu_flags:
            rates[unit.precision] = max(rates.get(unit.precision, 0), unit.operations_per_cycle)
    counted = f"{machine.cores} cores x {clock_ghz:g} GHz x operations per cycle"
    return Peaks(
        preset=preset.name,
        theoretical_peaks={name: machine.cores * clock_ghz * rate for name, rate in rates.items()},
        bandwidth_gbps=None if preset.peak_bandwidth is None else machine.sockets * preset.peak_bandwidth,
        upper_bound=preset.upper_bound,
        source=f"{preset.source}: {preset.derivation}; here {counted}",
    )


def names_device(preset: Preset, name: str) -> bool:
    """Say whether the preset is of a device of that name."""
    return not preset.model or re.fullmatch(preset.model, name.strip(), re.IGNORECASE) is not None
