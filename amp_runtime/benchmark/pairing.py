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
    """Seconds per call of both programs in one block, and which of them went first."""

    first_s: float
    second_s: float
    second_led: bool


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
    return stretch(call, pairing.steps, settle)


def stretch(call: Callable[[], object], calls: int, settle: Callable[[], object]) -> float:
    """Return the seconds per call of some calls in a row; nothing is collected in between."""
    collecting = gc.isenabled()
    gc.disable()  # a collection would be charged to whoever happens to run
    try:
        settle()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        settle()
        return (time.perf_counter() - begin) / calls
    finally:
        if collecting:
            gc.enable()
