"""Decides how the presets are listed: those of this machine first, each with its dense peaks. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.calibration.figures import NONE
from amp_runtime.calibration.preset import peaks_of
from amp_runtime.calibration.presets import PRESETS, compatible
from amp_runtime.calibration.table import aligned

if TYPE_CHECKING:
    from amp_runtime.calibration.machine import Machine
    from amp_runtime.calibration.preset import Preset

_COLUMNS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8")


def list_presets(machine: Machine) -> str:
    """Return all presets as a table in TFLOP/s; CPUs of any number of cores as this machine would have them."""
    ours = compatible(machine)
    names = [*ours, *(name for name in PRESETS if name not in ours)]
    rows: list[tuple[str, ...]] = [("", "preset", "device", "platform", *_COLUMNS, "GB/s")]
    rows += [_row(PRESETS[name], machine, here=name in ours) for name in names]
    told = "dense theoretical peaks in TFLOP/s, TOP/s for int8; * of this machine; g: GFLOP/s per core and GHz"
    return "\n".join([*aligned(rows, right=set(range(4, 5 + len(_COLUMNS)))), "", told])


def _row(preset: Preset, machine: Machine, *, here: bool) -> tuple[str, ...]:
    peaks, unit = _peaks(preset, machine, here=here)
    cells = [f"{peaks[name]:,.5g}{unit}" if name in peaks else NONE for name in _COLUMNS]
    about = ("*" if here else "", preset.name, preset.device, "/".join(preset.platforms))
    return (*about, *cells, NONE if preset.peak_bandwidth is None else f"{preset.peak_bandwidth:,g}")


def _peaks(preset: Preset, machine: Machine, *, here: bool) -> tuple[dict[str, float], str]:
    if not preset.per_core or (here and (preset.clock_ghz or machine.max_clock_ghz)):
        return {name: value / 1000 for name, value in peaks_of(preset, machine).theoretical_peaks.items()}, ""
    rates: dict[str, float] = {}
    for unit in preset.per_core:
        rates[unit.precision] = max(rates.get(unit.precision, 0), unit.operations_per_cycle)
    return rates, "g"
