"""The rates of error of all ways to compare, as a Markdown table."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from amp_runtime.benchmark.trials.rivals import RIVALS, in_turn, one_after_the_other

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amp_runtime.benchmark.trials.model import Trial

_FEWEST = 12  # pairs of a trial that is judged at all


def table(trials: Sequence[Trial]) -> str:
    """Say how often each way calls the second program slower, for identical and for truly slower programs."""
    same = [trial for trial in trials if trial.slowdown == 0]
    slower = [trial for trial in trials if trial.slowdown > 0]
    rows = ["| says «slower» | identical programs | truly slower |", "|---|---|---|"]
    rows.append(_row("this library, `NotSlower(least=0.05)`", same, slower, lambda trial: trial.outcome == "fail"))
    for name, says in RIVALS.items():
        for how, of in (("in turn", in_turn), ("one after the other", one_after_the_other)):
            rows.append(_row(f"{name}, {how}", same, slower, partial(of, says)))
    said = [*_described("identical", same), *_described("slower", slower)]
    return "\n".join([*rows, "", *said])


def _row(name: str, same: Sequence[Trial], slower: Sequence[Trial], says: Callable[[Trial], bool]) -> str:
    cells = []
    for trials in (same, slower):
        judged = [trial for trial in trials if len(trial.first_us) >= _FEWEST]
        found = sum(map(says, judged))
        cells.append(f"{found} of {len(trials)}" if trials else "-")
    return f"| {name} | {cells[0]} | {cells[1]} |"


def _described(name: str, trials: Sequence[Trial]) -> list[str]:
    if not trials:
        return []
    outcomes = [trial.outcome for trial in trials]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in ("pass", "fail", "inconclusive"))
    took = [trial.elapsed_s for trial in trials]
    others = [trial.others for trial in trials if trial.others is not None]
    busy = f"; others had {statistics.median(others):.0%} of the processor time (median)" if others else ""
    step = statistics.median(statistics.median(trial.first_us) for trial in trials if trial.first_us) / 1000
    return [
        f"{name}: {len(trials)} trials, {counts}; median {statistics.median(took):.1f} s, longest {max(took):.1f} s; "
        f"step {step:.1f} ms (median){busy}"
    ]
