"""Whether a fused pattern gives the same numbers as its parts, and how much faster it is."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.benchmark.intervals import Estimate, ratio
from amp_runtime.benchmark.medians import middle
from amp_runtime.calibration.detect import REFUSALS, refusal
from amp_runtime.calibration.formats import FORMATS, Format
from amp_runtime.calibration.operations.contract import relative_error
from amp_runtime.calibration.timing import Subject, Timings, time_interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

    from amp_runtime.calibration.operations.fused import Computation, Fusion
    from amp_runtime.calibration.timing import Effort, Timer

_PARTS, _COMPILED = "parts", "torch.compile"


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedMeasurement:
    """A pattern in one format and one way of fusing it.

    Args:
        reason: why there is no speedup; None where there is.
        agrees: both gave the numbers that FP64 gives, within the format's tolerance; None where one did not run.
        difference: of the fused result from that of the parts, relative, in the 2-norm.
        speedup: seconds of the parts over those of the fused way, from samples of the same round.
    """

    fusion: Fusion
    precision: str
    how: str
    reason: str | None = None
    agrees: bool | None = None
    difference: float | None = None
    parts_s: Estimate | None = None
    fused_s: Estimate | None = None
    speedup: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    how: str
    call: Computation
    problem: str | None
    agrees: bool | None
    difference: float | None


def measure_fusion(
    prepare: Callable[[Format, torch.device], Fusion],
    precision: str,
    device: torch.device,
    timer: Timer,
    effort: Effort,
    *,
    compiled: bool = False,
) -> tuple[FusedMeasurement, ...]:
    """Time the parts beside PyTorch's fused way and, where asked for, beside what `torch.compile` makes of them."""
    fusion = prepare(FORMATS[precision], device)
    if fusion.library is None and not compiled:
        return (_without(fusion, precision, fusion.how, fusion.how),)
    wanted = _exact(fusion, device)
    tolerance = FORMATS[precision].tolerance(fusion.terms)
    try:
        result = fusion.parts(*fusion.operands)
    except REFUSALS as problem:
        return (_without(fusion, precision, fusion.how, refusal(f"{fusion.pattern} in {precision}", problem)),)
    right = relative_error(result, wanted) <= tolerance
    offered = [] if fusion.library is None else [(fusion.how, fusion.library)]
    if compiled:
        offered.append((_COMPILED, torch.compile(fusion.parts, dynamic=False)))
    ways = [_try(how, call, fusion, result, wanted, tolerance, right=right) for how, call in offered]
    timings = _time(fusion, ways, effort, timer)
    return tuple(_measurement(fusion, precision, way, timings) for way in ways)


def _exact(fusion: Fusion, device: torch.device) -> torch.Tensor:
    # On the device, since there it takes no time; Apple's have no FP64.
    where = torch.device("cpu") if device.type == "mps" else device
    return fusion.parts(*(operand.to(where).double() for operand in fusion.operands))


def _try(
    how: str,
    call: Computation,
    fusion: Fusion,
    parts: torch.Tensor,
    wanted: torch.Tensor,
    tolerance: float,
    *,
    right: bool,
) -> _Way:
    try:
        result = call(*fusion.operands)
    except Exception as raised:  # a compiler may raise anything
        return _Way(how=how, call=call, problem=refusal(how, raised), agrees=None, difference=None)
    agrees = right and relative_error(result, wanted) <= tolerance
    problem = None if agrees else f"{how} and the parts do not both give the numbers of FP64 (to {tolerance:.1e})"
    difference = relative_error(result, parts)
    return _Way(how=how, call=call, problem=problem, agrees=agrees, difference=difference)


def _time(fusion: Fusion, ways: list[_Way], effort: Effort, timer: Timer) -> Timings:
    subjects = [Subject(name=_PARTS, call=functools.partial(fusion.parts, *fusion.operands), needed=True)]
    subjects += [
        Subject(name=way.how, call=functools.partial(way.call, *fusion.operands), needed=True)
        for way in ways
        if way.problem is None
    ]
    return time_interleaved(subjects, effort, timer) if len(subjects) > 1 else Timings(timed={}, left_out={})


def _measurement(fusion: Fusion, precision: str, way: _Way, timings: Timings) -> FusedMeasurement:
    parts, fused = timings.timed.get(_PARTS), timings.timed.get(way.how)
    if parts is None or fused is None:
        slow = timings.left_out.get(way.how) or timings.left_out.get(_PARTS)
        reason = way.problem or slow or "nothing to compare with was timed"
        return _without(fusion, precision, way.how, reason, way.agrees, way.difference)
    return FusedMeasurement(
        fusion=fusion,
        precision=precision,
        how=way.how,
        agrees=way.agrees,
        difference=way.difference,
        parts_s=middle(parts.samples_s),
        fused_s=middle(fused.samples_s),
        speedup=ratio(parts.samples_s, fused.samples_s),
    )


def _without(
    fusion: Fusion,
    precision: str,
    how: str,
    reason: str,
    agrees: bool | None = None,
    difference: float | None = None,
) -> FusedMeasurement:
    return FusedMeasurement(
        fusion=fusion, precision=precision, how=how, reason=reason, agrees=agrees, difference=difference
    )
