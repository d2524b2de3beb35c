"""Run a training several times, and say whether it repeats, and whether AMP updates it as FP32 does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from .comparing import compare
from .noise import RoundingNoise
from .recording import Recorder

if TYPE_CHECKING:
    from ..records import UpdatesCompared
    from .recording import Recording

Step = Callable[[], float]
STEPS = 8
RUNS = 3


def compare_updates(
    make: Callable[[bool], Step], dtype: torch.dtype, *, steps: int = STEPS, runs: int = RUNS
) -> UpdatesCompared:
    """Train under AMP, in FP32, in FP32 again, and `runs` times in FP32 with rounding noise, and compare.

    A step that AMP skips is undone in the FP32 runs, so that all of them have made the same steps on the same data.

    Args:
        make: builds the training, with AMP or without, and returns what takes one step and returns its loss. It must
            give the same data and first weights every time.
        dtype: what AMP trains in, float16 or bfloat16.

    Raises:
        ValueError: a dtype that is not of low precision, or figures with which nothing can be compared.
    """
    if dtype not in (torch.float16, torch.bfloat16):
        raise ValueError(f"the noise of rounding to {dtype} is not what AMP makes; give float16 or bfloat16")
    if steps < 1 or runs < 1:
        raise ValueError(f"at least one step and one disturbed run are needed, not {steps} and {runs}")
    amp, skipped = _record(make(True), steps, frozenset())
    fp32, _ = _record(make(False), steps, skipped)
    again, _ = _record(make(False), steps, skipped)
    disturbed = []
    for seed in range(runs):
        noise = RoundingNoise(dtype, seed)
        disturbed.append(_record(make(False), steps, skipped, noise)[0])
    found = compare(fp32, amp, disturbed, torch.finfo(dtype).eps / 2)
    return found.repeated(deterministic=same(fp32, again), skipped=len(skipped))


def _record(
    step: Step, steps: int, undo: frozenset[int], noise: RoundingNoise | None = None
) -> tuple[Recording, frozenset[int]]:
    recorder = Recorder(undo)
    without = set()
    with recorder.recording() as kept, noise or contextlib.nullcontext():
        for number in range(steps):
            before = len(kept.steps)
            recorder.call = number
            kept.losses.append(float(step()))
            if len(kept.steps) == before:
                without.add(number)
    return kept, frozenset(without)


def same(left: Recording, right: Recording) -> bool:
    """Whether two recordings are equal bit for bit."""
    if left.losses != right.losses or len(left.steps) != len(right.steps):
        return False
    return all(
        torch.equal(one, other)
        for first, second in zip(left.steps, right.steps, strict=True)
        for one, other in zip(first.updates, second.updates, strict=True)
    )
