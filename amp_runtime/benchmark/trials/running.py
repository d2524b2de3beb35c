"""Run trials, each in a process of its own: a fresh layout of memory, as two runs of a program have."""

from __future__ import annotations

import multiprocessing
import random
from typing import TYPE_CHECKING

from amp_runtime.benchmark.trials.model import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STEP_S = 0.02
LEAST = 0.05  # the slowdown from which a difference matters


def run_trials(slowdowns: Sequence[float], budget_s: float, first_seed: int = 0) -> Iterator[Trial]:
    """Yield one trial after another, for each of these slowdowns."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    with context.Pool(1, maxtasksperchild=1) as pool:
        parts = pool.apply(_parts)
    for seed, slowdown in enumerate(slowdowns, first_seed):
        with context.Pool(1, maxtasksperchild=1) as pool:
            yield pool.apply(run_one, (slowdown, seed, parts, budget_s))


def _parts() -> int:
    import torch  # noqa: PLC0415

    from amp_runtime.benchmark.trials.programs import parts_for  # noqa: PLC0415

    torch.set_num_threads(1)
    return parts_for(STEP_S)


def run_one(slowdown: float, seed: int, parts: int, budget_s: float) -> Trial:
    """Compare a step of `parts` parts with one that has a share of `slowdown` more of them."""
    import torch  # noqa: PLC0415

    from amp_runtime.benchmark.deciding import NotSlower  # noqa: PLC0415
    from amp_runtime.benchmark.sequential import Plan, compare_until  # noqa: PLC0415
    from amp_runtime.benchmark.trials.programs import training_step  # noqa: PLC0415

    torch.set_num_threads(1)  # threads that wait for each other on a busy machine make a step fifty times as long
    draw = random.Random(seed)
    ballast = [torch.empty(draw.randrange(1, 100_000)) for _ in range(20)]  # moves what is allocated after it
    first, second = training_step(parts), training_step(round(parts * (1 + slowdown)))
    found = compare_until(first, second, NotSlower(least=LEAST), Plan(budget_s=budget_s, seed=seed))
    del ballast
    ratio, others = found.ratio, found.noise.others
    return Trial(
        slowdown=slowdown,
        seed=seed,
        outcome=str(found.outcome),
        ratio=None if ratio is None else ratio.value,
        low=None if ratio is None else ratio.low,
        high=None if ratio is None else ratio.high,
        elapsed_s=round(found.elapsed_s, 3),
        others=None if others is None else round(others, 3),
        first_us=_microseconds(block.first_s for block in found.blocks),
        second_us=_microseconds(block.second_s for block in found.blocks),
        first_waited_us=_microseconds(block.first_waited_s for block in found.blocks),
        second_waited_us=_microseconds(block.second_waited_s for block in found.blocks),
        second_led=tuple(block.second_led for block in found.blocks),
    )


def _microseconds(seconds: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(value * 1e6) for value in seconds)
