"""How calm a machine was while times were taken: by the series itself, and by what the system counts. No torch."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .pairing import Block

BUSY_SHARE = 0.25  # of the machine's processor time that others had
SPREAD = 0.25  # interquartile range over median, the bound at which torch.utils.benchmark warns the second time
DRIFT = 0.10  # of the median time from the first third of a series to its last
_STAT = Path("/proc/stat")
_THROTTLES = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the system counts up to now. None where it does not say.

    Args:
        taken_s: seconds of all processors together in which they worked, for whomever.
        own_s: those of this process and of its children that have ended.
        throttled: how often the control group of this process was stopped for using its share up.
    """

    clock_s: float
    taken_s: float | None
    own_s: float
    throttled: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What disturbed a series. Each sentence of `warnings` says what was seen and what it means.

    Args:
        spread: interquartile range of the times over their median, of the program with the larger one.
        autocorrelation: of the logarithms of the pairs' times, from one pair to the next.
        drift: median of the last third of the pairs over that of the first, less 1.
        others: share of the machine's processor time that others had; None where the system does not say.
        throttled: how often the control group was stopped meanwhile; None as before.
    """

    spread: float
    autocorrelation: float
    drift: float
    others: float | None
    throttled: int | None
    warnings: tuple[str, ...]


def load_now() -> Load:
    """Read the counters of the system."""
    own = os.times()
    return Load(
        clock_s=time.perf_counter(),
        taken_s=_taken_s(),
        own_s=own.user + own.system + own.children_user + own.children_system,
        throttled=_throttled(),
    )


def noise_of(blocks: Sequence[Block], before: Load, after: Load) -> Noise:
    """Say how calm the machine was between two readings while these pairs were taken."""
    owns = [(block.first_own_s, block.second_own_s) for block in blocks]
    both = [math.log(first * second) / 2 for first, second in owns if first * second > 0]
    sides = [[first for first, _ in owns], [second for _, second in owns]]
    spread = max(map(_spread, sides))
    drift = _drift(both)
    others = _others(before, after)
    throttled = None
    if before.throttled is not None and after.throttled is not None:
        throttled = after.throttled - before.throttled
    return Noise(
        spread=spread,
        autocorrelation=_autocorrelation(both),
        drift=drift,
        others=others,
        throttled=throttled,
        warnings=_warnings(spread, drift, others, throttled),
    )


def _warnings(spread: float, drift: float, others: float | None, throttled: int | None) -> tuple[str, ...]:
    said = []
    if others is not None and others > BUSY_SHARE:
        said.append(f"other processes had {others:.0%} of the processor time, so absolute times are too long")
    if throttled:
        said.append(f"the control group was stopped {throttled} times for using up its share of the processor")
    if abs(drift) > DRIFT:
        way = "slower" if drift > 0 else "faster"
        said.append(f"steps became {abs(drift):.0%} {way} on the way: a changing clock or load, not the program")
    if spread > SPREAD:
        said.append(f"the middle half of the step times spans {spread:.0%} of their median")
    return tuple(said)


def _others(before: Load, after: Load) -> float | None:
    passed = after.clock_s - before.clock_s
    if before.taken_s is None or after.taken_s is None or passed <= 0:
        return None
    taken = (after.taken_s - before.taken_s) - (after.own_s - before.own_s)
    return min(1.0, max(0.0, taken / (passed * (os.cpu_count() or 1))))


def _taken_s() -> float | None:
    try:
        fields = [int(word) for word in _STAT.read_text("ascii").split("\n", 1)[0].split()[1:]]
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    if len(fields) < 8:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = fields[:8]
    return (user + nice + system + interrupts + soft + stolen) / tick


def _throttled() -> int | None:
    for path in _THROTTLES:
        try:
            lines = path.read_text("ascii").splitlines()
        except (OSError, ValueError):
            continue
        counts = dict(line.split(None, 1) for line in lines if " " in line)
        if counts.get("nr_throttled", "").strip().isdecimal():
            return int(counts["nr_throttled"])
    return None


def _spread(times: Sequence[float]) -> float:
    if len(times) < 4:
        return 0.0
    quarter, middle, three = statistics.quantiles(times, n=4)
    return (three - quarter) / middle if middle > 0 else 0.0


def _drift(logs: Sequence[float]) -> float:
    third = len(logs) // 3
    if third < 4:
        return 0.0
    return math.exp(statistics.median(logs[-third:]) - statistics.median(logs[:third])) - 1


def _autocorrelation(logs: Sequence[float]) -> float:
    if len(logs) < 8:
        return 0.0
    mean = statistics.fmean(logs)
    centred = [value - mean for value in logs]
    whole = sum(value * value for value in centred)
    if whole <= 0:
        return 0.0
    return sum(a * b for a, b in itertools.pairwise(centred)) / whole
