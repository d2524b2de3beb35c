"""A run as a table: one row per step, which pandas, a plot or a file takes as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from amp_runtime.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.history import EpochRecord, History, StepRecord, ValidationRecord

Cell = int | float | bool

_MISSING: dict[str, Cell] = {
    "step": 0,
    "epoch": 0,
    "train_loss": math.nan,
    "grad_norm": math.nan,
    "lr": math.nan,
    "loss_scale": math.nan,
    "skipped": False,
    "withheld": False,
    "examples": 0,
    "step_s": math.nan,
    "wait_s": math.nan,
    "validation_loss": math.nan,
    "validation_perplexity": math.nan,
    "validation_accuracy": math.nan,
    "epoch_train_loss": math.nan,
    "epoch_train_accuracy": math.nan,
    "epoch_examples_per_s": math.nan,
}


class MetricsTracker(Callback):
    """Collects what a run measures, in the order of its steps: `pandas.DataFrame(tracker.records())`.

    Columns are `step`, `epoch`, `train_loss`, `grad_norm` (L2 norm of the true gradients before clipping), `lr`,
    `loss_scale`, `skipped`, `withheld`, `examples`, `step_s` and `wait_s` (seconds); for the steps after which they
    were measured `validation_loss`, `validation_perplexity` and `validation_accuracy`; for the last step of an epoch
    `epoch_train_loss`, `epoch_train_accuracy` and `epoch_examples_per_s`. What was not measured is NaN, so that every
    column has one type. The table goes into checkpoints: a resumed run has all of it.
    """

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, Cell]] = {}
        self._missing = dict(_MISSING)

    @classmethod
    def of(cls, history: History) -> MetricsTracker:
        """Make the table of a run that has ended."""
        tracker = cls()
        tracker.on_records(history.steps)
        for validation in history.validations:
            tracker.on_validation(validation)
        for epoch in history.epochs:
            tracker.on_epoch(epoch)
        return tracker

    def log(self, step: int, **figures: float) -> None:
        """Add figures of your own to the row of a step; a new name is a new column.

        Raises:
            ValueError: a name of a column that the run itself fills.
        """
        if taken := sorted(figures.keys() & _MISSING.keys()):
            raise ValueError(f"the column {taken[0]!r} is filled by the run itself; choose another name")
        self._missing.update(dict.fromkeys(figures, math.nan))
        self._row(step).update({name: float(value) for name, value in figures.items()})

    def records(self) -> list[dict[str, Cell]]:
        """Return one dictionary per step, all with the same keys in the same order, lowest step first."""
        return [{**self._missing, **self._rows[step]} for step in sorted(self._rows)]

    def columns(self) -> dict[str, list[Cell]]:
        """Return the same as one list per column, all of the same length."""
        records = self.records()
        return {name: [record[name] for record in records] for name in self._missing}

    def on_records(self, records: Sequence[StepRecord]) -> None:
        for record in records:
            self._row(record.number).update(
                epoch=record.epoch,
                train_loss=record.loss,
                grad_norm=record.grad_norm,
                lr=record.lr,
                loss_scale=math.nan if record.scale is None else record.scale,
                skipped=record.skipped,
                withheld=record.withheld,
                examples=record.examples,
                step_s=record.step_s,
                wait_s=record.wait_s,
            )

    def on_validation(self, record: ValidationRecord) -> None:
        metrics = record.metrics
        self._row(record.step).update(
            epoch=record.epoch,
            validation_loss=metrics.loss,
            validation_perplexity=metrics.perplexity,
            validation_accuracy=math.nan if metrics.accuracy is None else metrics.accuracy,
        )

    def on_epoch(self, record: EpochRecord) -> None:
        train = record.train
        self._row(record.step).update(
            epoch_train_loss=math.nan if train is None else train.loss,
            epoch_train_accuracy=math.nan if train is None or train.accuracy is None else train.accuracy,
            epoch_examples_per_s=record.examples_per_s,
        )

    def _row(self, step: int) -> dict[str, Cell]:
        return self._rows.setdefault(step, {"step": step})

    def state_dict(self) -> dict[str, Any]:
        """Return the table by columns."""
        return {"columns": self.columns()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        columns: dict[str, list[Cell]] = state["columns"]
        self._missing = {**dict.fromkeys(columns, math.nan), **_MISSING}
        rows = zip(*columns.values(), strict=True)
        self._rows = {int(row[0]): dict(zip(columns, row, strict=True)) for row in rows}
