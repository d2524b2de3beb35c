"""Search hyper-parameters with Optuna (extra `optuna`): seeded, and hopeless trials are ended early."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amp_runtime.callbacks import Callback
from amp_runtime.scaling import ScaleCollapseError
from amp_runtime.step import NonFiniteError

if TYPE_CHECKING:
    from types import ModuleType

    import optuna

    from amp_runtime.history import EpochRecord

Value = bool | int | float | str | None
Parameters = Mapping[str, Value]


class SearchError(RuntimeError):
    """No trial came to a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatRange:
    """Numbers from `low` to `high`; `log`: evenly spread over orders of magnitude, as learning rates are.

    Raises:
        ValueError: an empty or infinite range, or one that a logarithm cannot cover.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range goes from a finite number to a larger one, not from {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included; `log` as in `FloatRange`.

    Raises:
        ValueError: an empty range, or one that a logarithm cannot cover.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"a range goes from a number to one that is not less, not from {self.low} to {self.high}")
        if self.log and self.low < 1:
            raise ValueError(f"a logarithmic range of whole numbers begins at 1 or above, not at {self.low}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values.

    Raises:
        ValueError: nothing to choose from.
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("a choice needs at least one option")


Space = Mapping[str, FloatRange | IntRange | Choice]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial. `value` is None where it was ended early, for `reason`."""

    number: int
    parameters: Parameters
    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The best trial, and all of this search, oldest first."""

    best: TrialRecord
    trials: tuple[TrialRecord, ...]


class Progress:
    """What a trial tells the search on its way. Ends the trial where it is hopeless."""

    def __init__(self, trial: optuna.Trial, backend: ModuleType) -> None:
        self._trial = trial
        self._optuna = backend

    def report(self, step: int, value: float) -> None:
        """Report the figure that is searched for, after `step` (an epoch, a number of steps).

        Raises:
            optuna.TrialPruned: it is not finite, or worse than the median of earlier trials at this step. Let it pass.
        """
        if not math.isfinite(value):
            raise self._optuna.TrialPruned(f"the figure at step {step} is {value}")
        self._trial.report(value, step)
        if self._trial.should_prune():
            raise self._optuna.TrialPruned(f"worse than the median of earlier trials at step {step}")


class ReportEpochs(Callback):
    """Reports the validation loss of each epoch of `fit` to a search that minimises it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_epoch(self, record: EpochRecord) -> None:
        """Report the epoch.

        Raises:
            ValueError: there was no validation.
        """
        if record.validation is None:
            raise ValueError("a search goes by the validation loss; give fit() validation batches")
        self._progress.report(record.epoch, record.validation.loss)


Train = Callable[[Parameters, Progress], float]


@dataclass(slots=True)
class _Search:
    """Runs trials, and remembers why some ended early."""

    train: Train
    space: Space
    backend: ModuleType
    reasons: dict[int, str] = field(default_factory=dict)

    def __call__(self, trial: optuna.Trial) -> float:
        parameters = {name: _suggest(trial, name, space) for name, space in self.space.items()}
        try:
            value = float(self.train(parameters, Progress(trial, self.backend)))
            if not math.isfinite(value):
                raise self.backend.TrialPruned(f"the result is {value}")
        except (NonFiniteError, ScaleCollapseError) as error:
            self.reasons[trial.number] = str(error)
            raise self.backend.TrialPruned(str(error)) from error
        except self.backend.TrialPruned as pruned:
            self.reasons[trial.number] = str(pruned)
            raise
        return value


def search(
    train: Train,
    space: Space,
    *,
    trials: int,
    seed: int,
    maximize: bool = False,
    startup_trials: int = 5,
    warmup_steps: int = 0,
) -> SearchResult:
    """Look for the parameters with the best result, by the tree-structured Parzen estimator (Bergstra et al., 2011).

    Args:
        train: called with the parameters of one trial and its `Progress`; returns the figure to minimise.
        space: what each parameter may be.
        trials: how many; those that are ended early count.
        seed: the same seed and training give the same trials.
        maximize: the figure is to be large, as accuracy is.
        startup_trials: drawn at random and never ended for being worse than others.
        warmup_steps: reports below this step end no trial for being worse.

    A trial whose loss is not finite (`NonFiniteError`, `ScaleCollapseError`, a NaN that it reports or returns) is
    ended, and the search goes on; any other exception is an error of the training and ends the search.

    Raises:
        ModuleNotFoundError: Optuna is not installed.
        SearchError: every trial was ended early.
        ValueError: no trials, or nothing to search.
    """
    if trials < 1 or not space:
        raise ValueError(f"a search needs trials and parameters, not {trials} trials over {len(space)} parameters")
    backend = _optuna()
    study = backend.create_study(
        direction="maximize" if maximize else "minimize",
        sampler=backend.samplers.TPESampler(seed=seed, n_startup_trials=startup_trials),
        pruner=backend.pruners.MedianPruner(n_startup_trials=startup_trials, n_warmup_steps=warmup_steps),
    )
    running = _Search(train, space, backend)
    study.optimize(running, n_trials=trials)
    records = tuple(_record(trial, running.reasons) for trial in study.trials)
    finished = [record for record in records if record.value is not None]
    if not finished:
        raise SearchError(f"none of {trials} trials came to a result; the last one: {records[-1].reason}")
    return SearchResult(best=records[study.best_trial.number], trials=records)


def _optuna() -> ModuleType:
    try:
        import optuna  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "hyper-parameter search needs Optuna; install it, or the extra: pip install 'verify-amp[optuna]'",
            name="optuna",
        ) from error
    return optuna


def _suggest(trial: optuna.Trial, name: str, space: FloatRange | IntRange | Choice) -> Any:
    if isinstance(space, FloatRange):
        return trial.suggest_float(name, space.low, space.high, log=space.log)
    if isinstance(space, IntRange):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    return trial.suggest_categorical(name, space.options)


def _record(trial: optuna.trial.FrozenTrial, reasons: Mapping[int, str]) -> TrialRecord:
    reason = reasons.get(trial.number, "")
    value = None if reason else trial.value
    return TrialRecord(number=trial.number, parameters=dict(trial.params), value=value, reason=reason)
