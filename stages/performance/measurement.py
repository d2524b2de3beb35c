"""What was measured of one workload or script, and how a report says it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from amp_runtime.wire import MODES
from stages.performance.roofline import attainable_s, bound_by

if TYPE_CHECKING:
    from amp_runtime.wire import DeviceSeen, Kept, Mode, Prepared, Roofline, Timed, Validated, Worked
    from stages.performance.figures import Figure
    from verifier.api import Evidence, Json, Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something was not measured, in the words of a report, and where that is."""

    message: str
    location: Location
    remediation: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that is known of one workload or script.

    Args:
        figures: by the names of requirements, and "whole-reduction".
        missing: why a figure is not there, by name.
        deferred: the same, where this machine as it is cannot give it.
        problems: why all of it, or the end of it, was not measured; empty where it was.
    """

    name: str
    kind: Literal["workload", "script"]
    location: Location
    device: DeviceSeen | None = None
    prepared: Mapping[Mode, Prepared] = field(default_factory=dict)
    kept: Mapping[Mode, Kept] = field(default_factory=dict)
    worked: Mapping[Mode, Worked] = field(default_factory=dict)
    roofline: Roofline | None = None
    timed: tuple[Timed, ...] = ()
    validated: tuple[Validated, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    deferred: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.problems

    def comparison(self, first: Mode, second: Mode) -> Timed | None:
        return next((one for one in self.timed if (one.first, one.second) == (first, second)), None)

    def step_s(self, mode: Mode) -> float | None:
        """Return the median time of a step, from the first comparison that has it."""
        for one in self.timed:
            series = one.first_s if one.first == mode else one.second_s if one.second == mode else ()
            if series:
                return statistics.median(series)
        return None

    def fact(self) -> dict[str, Json]:
        seen = self.device
        device, precision = (seen.device, seen.precision) if seen else ("unknown", None)
        modes: dict[str, Json] = {mode: said for mode in MODES if (said := self._mode(mode))}
        return {
            "name": self.name,
            "kind": self.kind,
            "device": device,
            "device_name": seen.name if seen else "unknown",
            "precision": precision,
            "native": seen.native if seen else None,
            "native_reason": seen.reason if seen else "",
            "torch": seen.torch if seen else "",
            "threads": seen.threads if seen else None,
            "fp32_matmul": seen.fp32_matmul if seen else "",
            "machine_class": seen.machine_class if seen else "",
            "samples_per_step": seen.samples if seen else None,
            "modes": modes,
            "roofline": self._roofline(),
            "comparisons": [_comparison(one) for one in self.timed],
            "quality": _quality(self.validated),
            "figures": {name: figure.fact(device, precision) for name, figure in self.figures.items()},
            "missing": {**self.missing, **self.deferred},
            "notes": [*self.notes],
            "problems": [problem.message for problem in self.problems],
        }

    def _roofline(self) -> Json:
        worked = self.worked.get("amp")
        if self.roofline is None or self.roofline.problem or worked is None or worked.problem:
            return None
        return {
            "peak_gflops": self.roofline.peak_gflops,
            "bandwidth_gbps": self.roofline.bandwidth_gbps,
            "profile": self.roofline.profile,
            "attainable_s": attainable_s(self.roofline, worked),
            "bound_by": bound_by(self.roofline, worked),
        }

    def _mode(self, mode: Mode) -> dict[str, Json]:
        found: dict[str, Json] = {}
        if (step_s := self.step_s(mode)) is not None:
            found |= {"step_s": step_s, "steps_per_s": 1 / step_s if step_s else None}
        if (ready := self.prepared.get(mode)) is not None:
            found |= {"import_s": ready.import_s, "build_s": ready.build_s, "first_step_s": ready.first_step_s}
        if (kept := self.kept.get(mode)) is not None and not kept.problem:
            found["memory"] = _memory(kept)
        if (worked := self.worked.get(mode)) is not None and not worked.problem:
            found |= {"flops": worked.flops, "bytes": worked.bytes}
        return found


def whole(kept: Kept) -> int:
    """Return all bytes of a step together: what is needed at most, as they are not all at their peak at one time."""
    return kept.weights + kept.gradients + kept.optimizer_state + kept.activations + kept.weight_copies


def _memory(kept: Kept) -> dict[str, Json]:
    return {
        "weights": kept.weights,
        "gradients": kept.gradients,
        "optimizer_state": kept.optimizer_state,
        "activations": kept.activations,
        "weight_copies": kept.weight_copies,
        "whole": whole(kept),
        "allocator_peak": kept.allocator_peak,
    }


def _comparison(one: Timed) -> dict[str, Json]:
    return {
        "first": one.first,
        "second": one.second,
        "ratio": one.ratio,
        "low": one.low,
        "high": one.high,
        "confidence": one.confidence,
        "outcome": one.outcome,
        "samples": len(one.first_s),
        "calls": one.calls,
        "looks": [*one.looks],
        "elapsed_s": one.elapsed_s,
        "method": one.method,
        "reason": one.reason,
        "skipped": one.skipped,
        "noise": dict(one.noise),
        "warnings": [*one.warnings],
        "first_s": [*one.first_s],
        "second_s": [*one.second_s],
        "second_led": [*one.second_led],
    }


def _quality(seen: tuple[Validated, ...]) -> Json:
    if not seen:
        return None
    return {
        "steps": seen[0].steps,
        "seeds": [one.seed for one in seen],
        "fp32": [dict(one.fp32) for one in seen],
        "amp": [dict(one.amp) for one in seen],
    }
