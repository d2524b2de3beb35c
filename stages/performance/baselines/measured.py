"""Reads what is compared between runs from the facts of a measurement: step times told in the reference work."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stages.performance.baselines.files import MachineKey, Saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REFERENCE = "reference"
Figures = dict[str, dict[str, Saved]]  # workload -> mode -> figure, all of level 1


def by_machine(measurements: Iterable[Mapping[str, Any]]) -> dict[MachineKey, Figures]:
    """Return what can be kept, by the machine it holds for; where nothing names the machine, it is left out."""
    found: dict[MachineKey, Figures] = {}
    for one in measurements:
        key = key_of(one)
        modes = _modes(one)
        if key is not None and modes:
            found.setdefault(key, {})[str(one["name"])] = modes
    return found


def key_of(measurement: Mapping[str, Any]) -> MachineKey | None:
    """Return what the figures of a measurement may be compared with; None where that is not known."""
    machine, threads = measurement.get("machine_class"), measurement.get("threads")
    version = re.match(r"\d+\.\d+", str(measurement.get("torch") or ""))
    if not isinstance(machine, str) or not machine or not isinstance(threads, int) or threads < 1 or version is None:
        return None
    return MachineKey(machine=machine, torch=version[0], threads=threads, reference=_version(measurement))


def disturbed(measurements: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what disturbed the series that would be kept, workload by workload."""
    return [
        f"{one.get('name')}: {warning}"
        for one in measurements
        for comparison in one.get("comparisons", ())
        if comparison.get("first") == REFERENCE
        for warning in comparison.get("warnings", ())
    ]


def _version(measurement: Mapping[str, Any]) -> int:
    value = measurement.get("reference_version", 1)
    return value if isinstance(value, int) and value >= 1 else 1


def _modes(measurement: Mapping[str, Any]) -> dict[str, Saved]:
    comparisons = [one for one in measurement.get("comparisons", ()) if one.get("first") == REFERENCE]
    return {one["second"]: _saved(one, measurement) for one in comparisons if one.get("low", 0) > 0}


def _saved(comparison: Mapping[str, Any], measurement: Mapping[str, Any]) -> Saved:
    mode = comparison["second"]
    memory = measurement.get("modes", {}).get(mode, {}).get("memory") or {}
    return Saved(
        step=comparison["ratio"],
        low=comparison["low"],
        high=comparison["high"],
        samples=max(1, int(comparison["samples"])),
        level=1,
        step_s=_median(comparison.get("second_s", ())),
        reference_s=_median(comparison.get("first_s", ())),
        activations=memory.get("activations"),
        whole=memory.get("whole"),
        accuracy=_accuracy(measurement, mode),
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _accuracy(measurement: Mapping[str, Any], mode: str) -> float | None:
    quality = measurement.get("quality") or {}
    seen = [one["accuracy"] for one in quality.get(mode, ()) if isinstance(one.get("accuracy"), (int, float))]
    return statistics.fmean(seen) if seen else None
