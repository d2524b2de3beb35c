"""What other ways of comparing times say of the same series.

Each is given the series twice: in turn, as it was taken, which none of these tools does by itself; and one after the
other, as they are used: the first half of the first program's times against the second half of the second's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.benchmark.trials.model import Trial

Says = Callable[[Sequence[float], Sequence[float]], bool]


def mean_threshold(first: Sequence[float], second: Sequence[float]) -> bool:
    """`pytest --benchmark-compare-fail=mean:5%`: the mean grew by more than 5 % (pytest-benchmark 5.3)."""
    return statistics.fmean(second) / statistics.fmean(first) * 100 - 100 > 5


def welch(first: Sequence[float], second: Sequence[float]) -> bool:
    """Welch's t-test, one-sided at 5 %, as scripts around benchmarks have it."""
    from scipy.stats import ttest_ind  # noqa: PLC0415

    return bool(ttest_ind(second, first, equal_var=False, alternative="greater").pvalue < 0.05)


def torch_compare(first: Sequence[float], second: Sequence[float]) -> bool:
    """`torch.utils.benchmark.Compare` with significant figures trimmed: it prints a longer time for the second."""
    from torch.utils.benchmark import Measurement, TaskSpec  # noqa: PLC0415
    from torch.utils.benchmark.utils.common import trim_sigfig  # noqa: PLC0415

    task = TaskSpec(stmt="step()", setup="")
    one, other = (Measurement(1, list(times), task) for times in (first, second))
    figures = min(one.significant_figures, other.significant_figures)
    return trim_sigfig(other.median, figures) > trim_sigfig(one.median, figures)


RIVALS: dict[str, Says] = {
    "pytest-benchmark, mean:5%": mean_threshold,
    "Welch's t-test, 5 %": welch,
    "torch.utils.benchmark.Compare": torch_compare,
}


def in_turn(says: Says, trial: Trial) -> bool:
    """Judge the series as it was taken."""
    return says(trial.first_us, trial.second_us)


def one_after_the_other(says: Says, trial: Trial) -> bool:
    """Judge the first half of the first program's times and the second half of the second's."""
    half = len(trial.first_us) // 2
    return says(trial.first_us[:half], trial.second_us[half:])
