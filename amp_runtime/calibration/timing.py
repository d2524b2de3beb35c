"""How long calls take: warmed up, in turn with what they are compared with, often enough for the clock to see it."""

from __future__ import annotations

import contextlib
import gc
import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TICKS_PER_SAMPLE = 1000  # so that one tick of the clock is a thousandth of a sample
_LEAD_IN_BELOW_S = 0.05  # what takes longer fills caches by itself in a small share of its time
_SETTLED_WITHIN = 0.05


class Timer(Protocol):
    """Runs a call so often and says how many seconds all of them took together, on the device."""

    def __call__(self, call: Callable[[], object], calls: int) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much time is spent on one comparison.

    Args:
        budget_s: for all subjects together; what cannot be sampled `least_rounds` times within it is left out.
        sample_s: one sample repeats its call until it takes about so long.
        warm_up_s: every subject runs untimed for about so long, up to four times that while it still gets faster.
    """

    budget_s: float
    least_rounds: int = 7
    most_rounds: int = 31
    sample_s: float = 0.005
    warm_up_s: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something to time.

    Args:
        setting: global state that it needs, entered outside of the timed stretch.
        needed: others are compared with it, so it is timed `least_rounds` times even beyond the budget.
    """

    name: str
    call: Callable[[], object]
    setting: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds per call, one figure a round; figures of two subjects with the same index are of the same round."""

    calls_per_sample: int
    samples_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What was timed, and why the rest was not, by the names of the subjects."""

    timed: dict[str, Timing]
    left_out: dict[str, str]


@dataclass(slots=True, kw_only=True)
class _Prepared:
    subject: Subject
    call_s: float
    calls: int
    samples_s: list[float] = field(default_factory=list)

    @property
    def sample_s(self) -> float:
        lead_in = self.call_s if self.call_s < _LEAD_IN_BELOW_S else 0.0
        return self.call_s * self.calls + lead_in


def time_interleaved(subjects: Sequence[Subject], effort: Effort, timer: Timer, seed: int = 0) -> Timings:
    """Sample every subject once a round, in a new random order each round, so that drift and other load hit all alike.

    Raises:
        Exception: whatever a call raises; the caller has tried it before.
    """
    least_s = max(effort.sample_s, _TICKS_PER_SAMPLE * clock_resolution_s())
    prepared, left_out = [], {}
    with _no_collections():
        for subject in subjects:
            call_s = _warm_up(subject, effort, timer)
            if call_s * effort.least_rounds > effort.budget_s and not subject.needed:
                left_out[subject.name] = _too_slow(call_s, effort)
            else:
                calls = max(1, math.ceil(least_s / max(call_s, 1e-9)))
                prepared.append(_Prepared(subject=subject, call_s=call_s, calls=calls))
        kept, dropped = _affordable(prepared, effort)
        left_out |= {item.subject.name: _too_slow(item.call_s, effort) for item in dropped}
        _sample(kept, effort, timer, random.Random(seed))
    timed = {item.subject.name: Timing(calls_per_sample=item.calls, samples_s=tuple(item.samples_s)) for item in kept}
    return Timings(timed=timed, left_out=left_out)


def _warm_up(subject: Subject, effort: Effort, timer: Timer) -> float:
    """Return the seconds of one call once they have settled; a call that is slow at once is not repeated for long."""
    with subject.setting():
        last = best = timer(subject.call, 1)
        spent, calls = best, 1
        if not subject.needed and spent * effort.least_rounds > 4 * effort.budget_s:
            return best
        while spent < 4 * effort.warm_up_s or calls == 1:
            now = timer(subject.call, calls) / calls
            spent += now * calls
            settled = abs(now - last) <= _SETTLED_WITHIN * last
            last, best = now, min(best, now)  # the least: what another program took is not what the call takes
            if now >= effort.warm_up_s or (settled and spent >= effort.warm_up_s):
                break
            calls = max(calls + 1, math.ceil(effort.sample_s / max(best, 1e-9)))
    return best


def _affordable(prepared: list[_Prepared], effort: Effort) -> tuple[list[_Prepared], list[_Prepared]]:
    kept: list[_Prepared] = []
    round_s = 0.0
    by_cost = sorted(prepared, key=lambda item: (not item.subject.needed, item.sample_s))
    for item in by_cost:
        if not item.subject.needed and (round_s + item.sample_s) * effort.least_rounds > effort.budget_s:
            break
        kept.append(item)
        round_s += item.sample_s
    return kept, by_cost[len(kept) :]


def _sample(kept: list[_Prepared], effort: Effort, timer: Timer, order: random.Random) -> None:
    if not kept:
        return
    fitting = int(effort.budget_s / max(sum(item.sample_s for item in kept), 1e-9))
    turn = list(kept)
    for _ in range(min(effort.most_rounds, max(effort.least_rounds, fitting))):
        order.shuffle(turn)
        for item in turn:
            with item.subject.setting():
                if item.call_s < _LEAD_IN_BELOW_S:
                    timer(item.subject.call, 1)
                item.samples_s.append(timer(item.subject.call, item.calls) / item.calls)


def _too_slow(call_s: float, effort: Effort) -> str:
    return (
        f"not measured at this size: one call takes about {call_s:.2g} s, "
        f"so {effort.least_rounds} samples do not fit into its share of {effort.budget_s:.2g} s"
    )


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()  # a collection would be charged to whoever happens to run
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def clock_resolution_s() -> float:
    """Return the smallest difference that the wall clock was seen to show, or claims if that is more."""
    steps = []
    for _ in range(20):
        begin = now = time.perf_counter()
        while now == begin:
            now = time.perf_counter()
        steps.append(now - begin)
    return max(min(steps), time.get_clock_info("perf_counter").resolution)


def timer_for(device: torch.device) -> Timer:
    """Return a timer: events on the stream for CUDA and ROCm, the wall clock around a synchronisation elsewhere."""
    if device.type == "cuda":
        return _EventTimer(device)
    return _WallTimer(_synchronisation(device))


class _WallTimer:
    def __init__(self, synchronise: Callable[[], object]) -> None:
        self._synchronise = synchronise

    def __call__(self, call: Callable[[], object], calls: int) -> float:
        self._synchronise()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        self._synchronise()
        return time.perf_counter() - begin


class _EventTimer:
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, call: Callable[[], object], calls: int) -> float:
        with torch.cuda.device(self._device):
            event: Callable[..., Any] = torch.cuda.Event
            begin, end = event(enable_timing=True), event(enable_timing=True)
            torch.cuda.synchronize()
            begin.record()
            for _ in range(calls):
                call()
            end.record()
            torch.cuda.synchronize()
            return float(begin.elapsed_time(end)) / 1000


def _synchronisation(device: torch.device) -> Callable[[], object]:
    if device.type == "xpu":
        return lambda: torch.xpu.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None
