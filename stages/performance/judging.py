"""Decides what measurements say of a requirement: PASS, FAIL, DEFERRED, or not enough to say."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.performance.figures import Side
from stages.performance.gates import GATES, OF_SPEED
from stages.performance.rules import prf001_requirement_missed, prf004_inconclusive
from verifier.api import ANY_DEVICE, Evidence, Finding, Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.performance.figures import Figure
    from stages.performance.measurement import Measurement
    from verifier.api import Bound, Json, Requirement, RuleInfo

MOST_SKIPPED = 0.1  # of the timed AMP steps; a step that the loss scaler skips does less work than one that trains
_IN_EITHER_DIRECTION = frozenset({"accuracy-difference", "loss-difference"})
_REMEDIES = {
    "speedup": "Look for casts, synchronisation and small layers in the step (rules AMP8xx), or correct the bound.",
    "memory-reduction": "See what runs outside autocast and so keeps FP32 activations, or correct the bound.",
    "accuracy-difference": "Keep what overflows or cancels in FP32 (rules AMP3xx), or correct the bound.",
    "loss-difference": "Keep what overflows or cancels in FP32 (rules AMP3xx), or correct the bound.",
    "compile-speedup": "Remove graph breaks and recompilations, leave the model eager, or correct the bound.",
}
_ELSE = "Make the step faster on this device, or correct the bound."
_MEASURE_MORE = "Measure on a calmer machine, give more time with --time-limit, or move the bound away from the figure."


class _Word(enum.IntEnum):
    """What one workload says; the largest decides."""

    MET = 0
    DEFERRED = 1
    UNCLEAR = 2
    MISSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    measurement: Measurement
    word: _Word
    text: str
    figure: Figure | None = None
    lacks: tuple[str, ...] = ()
    reason: str = ""  # for which it is deferred, often the same for many


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A gate and the findings behind it."""

    gate: Gate
    findings: tuple[Finding, ...]


def judge(
    requirement: Requirement, measurements: Sequence[Measurement], configuration: Location, *, strict: bool
) -> Judged:
    """Judge a requirement over everything that it concerns.

    Args:
        strict: where the figures do not decide, the gate fails.
    """
    seen = [_one(requirement, one) for one in measurements if requirement.concerns(one.name)]
    word = max((one.word for one in seen), default=_Word.MISSED)
    gate = Gate(
        name=requirement.name,
        requirement=f"{GATES[requirement.name]}: {requirement.text()}",
        status=_status(word, strict=strict),
        evidence="; ".join(_said(seen)) or "nothing of the task was measured",
        lacks=tuple(dict.fromkeys(device for one in seen if one.word is _Word.DEFERRED for device in one.lacks)),
    )
    place = Location(path=configuration.path, line=requirement.line)
    found = [_finding(requirement, one, place, strict=strict) for one in seen if one.word > _Word.DEFERRED]
    return Judged(gate=gate, findings=tuple(found))


def _said(seen: Sequence[_Seen]) -> list[str]:
    """Return what decides first, and a reason that several share only once."""
    reasons = [one.reason for one in seen if one.reason]
    return [*dict.fromkeys(reasons), *(one.text for one in sorted(seen, key=lambda one: -one.word))]


def _status(word: _Word, *, strict: bool) -> GateStatus:
    if word is _Word.UNCLEAR:
        return GateStatus.FAIL if strict else GateStatus.WARN
    return {_Word.MET: GateStatus.PASS, _Word.DEFERRED: GateStatus.DEFERRED}.get(word, GateStatus.FAIL)


def _one(requirement: Requirement, one: Measurement) -> _Seen:
    device = one.device
    if device is None:
        return _Seen(measurement=one, word=_Word.MISSED, text=f"{one.name}: not measured")
    bound = requirement.bound_for(device.device)
    name = _figure_name(requirement.name, bound)
    figure = one.figures.get(name)
    where = f"{device.precision or 'format not stated'} on {device.name}"
    said = f"{one.name}: {figure.text() if figure else 'no figure'}, {where}"
    if bound is None:
        wanted = tuple(requirement.bounds)
        why = f"needs {' or '.join(wanted)}, and this ran on {_kind(one)}"
        return _Seen(measurement=one, word=_Word.DEFERRED, text=said, figure=figure, lacks=wanted, reason=why)
    if requirement.name in OF_SPEED and (why := _not_native(one)):
        kinds = tuple(kind for kind in requirement.bounds if kind != ANY_DEVICE) or ("cuda", _kind(one))
        return _Seen(measurement=one, word=_Word.DEFERRED, text=said, figure=figure, lacks=kinds, reason=why)
    if figure is None:
        return _absent(one, name)
    return _decided(requirement.name, bound, one, figure, said)


def _absent(one: Measurement, name: str) -> _Seen:
    if (reason := one.deferred.get(name)) is not None:
        return _Seen(measurement=one, word=_Word.DEFERRED, text=f"{one.name}: no figure", reason=reason)
    reason = one.missing.get(name, "it was not measured")
    return _Seen(measurement=one, word=_Word.MISSED, text=f"{one.name}: {reason}")


def _decided(name: str, bound: Bound, one: Measurement, figure: Figure, said: str) -> _Seen:
    timed = one.comparison("fp32", "amp")
    if name == "speedup" and timed is not None and timed.skipped > MOST_SKIPPED:
        text = f"{said}; the loss scaler skipped {timed.skipped:.0%} of the timed steps, which cost less than others"
        return _Seen(measurement=one, word=_Word.UNCLEAR, text=text, figure=figure)
    side = figure.side_of_size(bound) if name in _IN_EITHER_DIRECTION else figure.side(bound)
    word = {Side.MET: _Word.MET, Side.MISSED: _Word.MISSED, Side.UNCLEAR: _Word.UNCLEAR}[side]
    if word is _Word.UNCLEAR:
        said = f"{said}; the interval does not decide"
    return _Seen(measurement=one, word=word, text=said, figure=figure)


def _figure_name(name: str, bound: Bound | None) -> str:
    return "sample-throughput" if bound is not None and bound.unit == "samples/s" else name


def _not_native(one: Measurement) -> str:
    """Return why the time of this device says nothing about the format, "" where it computes in it."""
    device = one.device
    if device is None or device.native or (device.native is None and _kind(one) != "cpu"):
        return ""
    if device.native is None:
        return f"{device.name} may only emulate the format: {device.reason}"
    return f"{device.name} only emulates {device.precision} ({device.reason}), so its time decides nothing"


def _kind(one: Measurement) -> str:
    return one.device.device.partition(":")[0] if one.device else ""


def _finding(requirement: Requirement, seen: _Seen, place: Location, *, strict: bool) -> Finding:
    name, missed = requirement.name, seen.word is _Word.MISSED
    rule: RuleInfo = prf001_requirement_missed.RULE if missed else prf004_inconclusive.RULE
    how = "is not met" if missed else "is neither met nor missed by what was measured"
    return Finding(
        rule=rule.code,
        severity=prf001_requirement_missed.RULE.severity if strict else rule.severity,
        message=f"The requirement {name} ({requirement.text()}) {how}. {seen.text}.",
        location=place,
        symbol=f"{name} of {seen.measurement.name}",
        evidence=_evidence(name, seen),
        why=rule.why,
        remediation=_REMEDIES.get(name, _ELSE) if missed else _MEASURE_MORE,
    )


def _evidence(name: str, seen: _Seen) -> tuple[Evidence, ...]:
    if seen.figure is None or seen.measurement.device is None:
        return ()
    device = seen.measurement.device
    data: dict[str, Json] = seen.figure.fact(device.device, device.precision)
    data |= {"figure": name, "workload": seen.measurement.name, "device_name": device.name}
    return (Evidence(kind="measurement", summary=f"{name}: {seen.text}", data=data),)
