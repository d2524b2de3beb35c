"""Read one workload's measurement from what its process reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from amp_runtime.wire import (
    DeviceSeen,
    Estimated,
    Kept,
    NotMeasured,
    Prepared,
    Rejected,
    Roofline,
    Timed,
    Validated,
    Worked,
)
from stages.performance.causes import problem_of_probe, problem_of_unit
from stages.performance.figures import Figure, exact, median_of
from stages.performance.measurement import Measurement, Problem, whole
from stages.performance.roofline import roofline_share
from verifier.api import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.wire import MeasureUnit, Mode
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport

T = TypeVar("T")
_KEPT = "torch.autograd.graph.saved_tensors_hooks, unique storages, one step"
_CONTRACT = "A workload is a factory called as factory(amp=..., seed=...) that returns an object with step()."
_NO_BASELINE = "there is no stored baseline of this machine class; make one with --save-baseline"
_TIMED = ("speedup", "throughput")
_KEPT_FIGURES = ("memory-reduction", "whole-reduction")


def read_workload(
    workload: MeasureUnit, unit: UnitReport | None, report: ProbeReport, limits: Limits, configuration: Location
) -> Measurement:
    """Return what is known of a workload, however far its process came."""
    name = workload.factory
    if unit is None:
        problem = problem_of_probe(name, report, configuration)
        return Measurement(name=name, kind="workload", location=configuration, problems=(problem,))
    problems = [] if (found := problem_of_unit(name, unit, limits, configuration)) is None else [found]
    problems += [_rejected(name, item, configuration) for item in _of(unit, Rejected)]
    timed = tuple(_of(unit, Timed))
    if not problems and not any((one.first, one.second) == ("fp32", "amp") and one.first_s for one in timed):
        silent = f"{name} was not measured: its process ended in order, and no time of a step is among what it told"
        problems.append(Problem(message=silent, location=configuration, remediation=_CONTRACT))
    kept = {item.mode: item for item in _of(unit, Kept)}
    device = next(iter(_of(unit, DeviceSeen)), None)
    figures, missing = _figures(timed, kept, device)
    figures |= {item.what: _estimate(item) for item in _of(unit, Estimated)}
    worked = {item.mode: item for item in _of(unit, Worked)}
    roofline = next(iter(_of(unit, Roofline)), None)
    figures |= roofline_share(roofline, worked.get("amp"), figures.get("throughput"))
    missing |= {item.what: item.reason for item in _of(unit, NotMeasured)}
    return Measurement(
        name=name,
        kind="workload",
        location=configuration,
        device=device,
        prepared={item.mode: item for item in _of(unit, Prepared)},
        kept=kept,
        worked=worked,
        roofline=roofline,
        timed=timed,
        validated=tuple(_of(unit, Validated)),
        figures=figures,
        missing={what: reason for what, reason in missing.items() if what not in figures},
        deferred={what: why for what, why in _deferred(roofline).items() if what not in figures},
        notes=_notes(timed, _of(unit, Worked)),
        problems=tuple(problems),
    )


def gain_of(one: Timed) -> Figure | None:
    """Return the first mode's time over the second's."""
    if not one.first_s or not one.low > 0:
        return None
    return Figure(
        value=1 / one.ratio,
        low=1 / one.high,
        high=1 / one.low,
        confidence=one.confidence,
        samples=len(one.first_s),
        unit="x",
        method=one.method,
    )


def _deferred(roofline: Roofline | None) -> dict[str, str]:
    found = {"regression": _NO_BASELINE}
    if roofline is not None and roofline.problem:
        found["roofline-share"] = roofline.problem
    return found


def _figures(
    timed: tuple[Timed, ...], kept: Mapping[Mode, Kept], device: DeviceSeen | None
) -> tuple[dict[str, Figure], dict[str, str]]:
    figures: dict[str, Figure | None] = {}
    for one in timed:
        if (one.first, one.second) == ("fp32", "amp"):
            figures |= {"speedup": gain_of(one)} | _throughput(one, device)
        elif (one.first, one.second) == ("amp", "amp-compiled"):
            figures["compile-speedup"] = gain_of(one)
    missing = dict.fromkeys(_TIMED, "its steps were not timed")
    fp32, amp = kept.get("fp32"), kept.get("amp")
    if fp32 is None or amp is None:
        missing |= dict.fromkeys(_KEPT_FIGURES, "the memory of a step was not counted")
    elif problem := fp32.problem or amp.problem:
        missing |= dict.fromkeys(_KEPT_FIGURES, problem)
    else:
        figures["memory-reduction"] = _saved(fp32.activations, amp.activations)
        figures["whole-reduction"] = _saved(whole(fp32), whole(amp))
    return {name: figure for name, figure in figures.items() if figure is not None}, missing


def _throughput(one: Timed, device: DeviceSeen | None) -> dict[str, Figure | None]:
    rates = [1 / seconds for seconds in one.second_s if seconds > 0]
    method = f"AMP's steps in FP32's company, {one.calls} a sample"
    found = {"throughput": median_of(rates, unit="steps/s", method=method)}
    if device is not None and device.samples:
        each = [rate * device.samples for rate in rates]
        found["sample-throughput"] = median_of(each, unit="samples/s", method=method)
    return found


def _saved(fp32: int, amp: int) -> Figure | None:
    return exact(1 - amp / fp32, unit="share", method=_KEPT) if fp32 else None


def _estimate(item: Estimated) -> Figure:
    return Figure(
        value=item.value,
        low=item.low,
        high=item.high,
        confidence=item.confidence,
        samples=item.samples,
        unit=item.unit,
        method=item.method,
    )


def _rejected(name: str, item: Rejected, configuration: Location) -> Problem:
    location = Location(path=item.path, line=max(1, item.line)) if item.path else configuration
    return Problem(message=f"{name} cannot be measured: {item.message}", location=location, remediation=_CONTRACT)


def _notes(timed: tuple[Timed, ...], worked: list[Worked]) -> tuple[str, ...]:
    said = [warning for one in timed for warning in one.warnings]
    said += [f"the operations of a step were not counted: {one.problem}" for one in worked if one.problem]
    return tuple(dict.fromkeys(said))


def _of(unit: UnitReport, kind: type[T]) -> list[T]:
    return [item for item in unit.items if isinstance(item, kind)]
