"""Time two programs in turn, so that a busy minute hits both and neither always goes first. Standard library only."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """How two programs are timed against each other.

    Args:
        blocks: pairs of timed stretches; both orders come equally often (an odd one is over), in random order.
        steps: calls in one timed stretch.
        lead_in: calls before each stretch that are not timed: they bring back the caches that the other one used.
        warm_up: calls of both before anything is timed.
        seed: of the order.

    Raises:
        ValueError: a figure with which nothing can be measured.
    """

    blocks: int = 12
    steps: int = 2
    lead_in: int = 1
    warm_up: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("blocks", 2), ("steps", 1), ("lead_in", 0), ("warm_up", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")

    def orders(self) -> tuple[bool, ...]:
        """Return for each block whether the second program goes first."""
        orders = [block % 2 == 1 for block in range(self.blocks)]
        random.Random(self.seed).shuffle(orders)
        return tuple(orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Seconds per call of both programs in one block, and which of them went first.

    Args:
        first_waited_s, second_waited_s: the part of the time in which the calling thread was ready to run and others
            had the processor, as the scheduler counts it; 0 where it was not asked or does not say.
    """

    first_s: float
    second_s: float
    second_led: bool
    first_waited_s: float = 0.0
    second_waited_s: float = 0.0

    @property
    def first_own_s(self) -> float:
        """Seconds of the first program without those in which it waited for a processor."""
        return _own(self.first_s, self.first_waited_s)

    @property
    def second_own_s(self) -> float:
        """Seconds of the second program without those in which it waited for a processor."""
        return _own(self.second_s, self.second_waited_s)


def _own(seconds: float, waited_s: float) -> float:
    return max(seconds - waited_s, seconds / 100)  # the two clocks may differ by a tick


def time_in_pairs(
    first: Callable[[], object],
    second: Callable[[], object],
    pairing: Pairing,
    settle: Callable[[], object] = lambda: None,
) -> tuple[Block, ...]:
    """Run both in blocks and time each call's share of a stretch.

    Args:
        settle: waits until the device has done all it was told; called outside of the calls, on both ends of the clock.
    """
    for _ in range(pairing.warm_up):
        first()
        second()
    blocks = []
    for second_led in pairing.orders():
        if second_led:
            second_s = _led_in(second, pairing, settle)
            first_s = _led_in(first, pairing, settle)
        else:
            first_s = _led_in(first, pairing, settle)
            second_s = _led_in(second, pairing, settle)
        blocks.append(Block(first_s=first_s, second_s=second_s, second_led=second_led))
    return tuple(blocks)


def _led_in(call: Callable[[], object], pairing: Pairing, settle: Callable[[], object]) -> float:
    for _ in range(pairing.lead_in):
        call()
    return stretch(call, pairing.steps, settle)[0]


def stretch(call: Callable[[], object], calls: int, settle: Callable[[], object]) -> tuple[float, float]:
    """Return seconds per call of some calls in a row, and how many of them the thread waited for a processor.

    Nothing is collected in between.
    """
    collecting = gc.isenabled()
    gc.disable()  # a collection would be charged to whoever happens to run
    try:
        settle()
        waited, begin = waited_s(), time.perf_counter()
        for _ in range(calls):
            call()
        settle()
        return (time.perf_counter() - begin) / calls, (waited_s() - waited) / calls
    finally:
        if collecting:
            gc.enable()


def waited_s() -> float:
    """Return the seconds that the calling thread was ready to run and had no processor; 0 where Linux does not say.

    The second figure of `/proc/thread-self/schedstat` (Documentation/scheduler/sched-stats.rst of the kernel), which it
    counts at every switch, in nanoseconds. Reading it takes some 6 microseconds.
    """
    try:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - in the timed path
            return int(file.read(96).split()[1]) * 1e-9
    except (OSError, ValueError, IndexError):
        return 0.0
