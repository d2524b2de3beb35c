"""The listener that sends a run's figures to trackers, and sees to it that none of them can stop training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from amp_runtime.callbacks import Callback
from amp_runtime.trackers.guarded import Guarded
from amp_runtime.trackers.memory import memory_figures
from amp_runtime.trackers.redaction import presentable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.history import EpochRecord, History, StepRecord, ValidationRecord
    from amp_runtime.metrics import Metrics
    from amp_runtime.run import TrainingRun
    from amp_runtime.step import TrainingStep
    from amp_runtime.trackers.contract import Scalar, Tracker

_log = logging.getLogger(__name__)


class Tracking(Callback):
    """Send configuration and figures of a run to trackers, and close them at its end.

    Per step: `train/loss`, `train/grad_norm`, `train/lr`, `train/loss_scale`, `train/skipped` (0 or 1),
    `train/skipped_total`, `throughput/examples_per_s`, `throughput/step_s`, `throughput/wait_s`. Per validation:
    `validation/loss`, `/perplexity`, `/accuracy`. Per epoch: `epoch/number`, the means of training and
    `memory/..._bytes`. The configuration has precision, device, model, optimizers and the caller's own.

    A tracker that raises is dropped with one warning; its failure stands in `History.failures`. Of several processes
    that train one model, only the first sends.

    Args:
        config: what else describes the run; secrets and absolute paths in it are left out (`presentable`).
        every: send every so many steps; skipped ones are always sent.

    Raises:
        ValueError: `every` below 1.
    """

    def __init__(self, *trackers: Tracker, config: Mapping[str, object] | None = None, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, not {every}")
        self.failures: list[str] = []
        self._trackers = [Guarded(tracker, self._fail) for tracker in trackers]
        self._config = dict(config or {})
        self._every = every
        self._skipped = 0
        self._run: TrainingRun[Any] | None = None

    def _fail(self, sentence: str) -> None:
        self.failures.append(sentence)
        if self._run is not None:
            self._run.note_failure(sentence)

    def config(self, values: Mapping[str, object]) -> None:
        """Send further facts to every tracker, such as the outcome of a benchmark; presentable ones only."""
        shown = presentable(values)
        for tracker in self._trackers:
            tracker.config(shown)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send figures of your own, under names that begin with a group: `"bleu/greedy"`."""
        for tracker in self._trackers:
            tracker.log(step, values)

    def log_facts(self, group: str, facts: Mapping[str, Scalar], *, step: int = 0) -> None:
        """Send flat results of a benchmark: numbers and switches (0 or 1) as figures of `step`, text as configuration.

        `tracking.log_facts("benchmark", result.as_dict())` sends `benchmark/speedup` and the like.
        """
        numbers = {f"{group}/{name}": float(fact) for name, fact in facts.items() if isinstance(fact, int | float)}
        self.log(step, numbers)
        self.config({f"{group}/{name}": fact for name, fact in facts.items() if isinstance(fact, str)})

    def close(self) -> None:
        """Close every tracker; `fit` does it at the end of a run."""
        for tracker in self._trackers:
            tracker.close()

    def on_start(self, run: TrainingRun[Any]) -> None:
        self._run = run
        if not run.is_first:
            self._trackers = []
        for sentence in self.failures:
            run.note_failure(sentence)
        self.config({**describe_step(run.step), "resumed_after_step": run.step.number, **self._config})

    def on_records(self, records: Sequence[StepRecord]) -> None:
        for record in records:
            self._skipped += record.skipped
            if record.skipped or record.number % self._every == 0:
                self.log(record.number, _step_figures(record, self._skipped))

    def on_validation(self, record: ValidationRecord) -> None:
        figures = _metric_figures("validation", record.metrics)
        self.log(record.step, {**figures, "validation/seconds": record.seconds})

    def on_epoch(self, record: EpochRecord) -> None:
        figures = {} if record.train is None else _metric_figures("epoch/train", record.train)
        self.log(
            record.step,
            {
                "epoch/number": record.epoch,
                **figures,
                "epoch/skipped": record.skipped,
                "epoch/withheld": record.withheld,
                "epoch/examples_per_s": record.examples_per_s,
                "epoch/step_s": record.step_time_s,
                **(memory_figures(self._run.step.policy.device) if self._run is not None else {}),
            },
        )

    def on_end(self, history: History) -> None:
        self._finish(history)

    def on_exception(self, error: BaseException, history: History) -> None:
        self._finish(history)

    def _finish(self, history: History) -> None:
        self.config({"ended": history.ended})
        self.close()
        if self.failures:
            _log.warning("%d of %d trackers failed during this run", len(self.failures), len(self._trackers))

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self._skipped}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._skipped = state["skipped"]


def describe_step(step: TrainingStep[Any]) -> dict[str, object]:
    """Return what a reader must know of a training step: precision, device, model, optimizers and their settings."""
    parameters = list(step.model.parameters())
    facts: dict[str, object] = {
        "precision": step.policy.precision.value,
        "device": step.policy.device.type,
        "torch": str(torch.__version__),
        "model": type(step.model).__name__,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trained_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        "clip_norm": step.options.clip_norm,
        "clip_value": step.options.clip_value,
        "nonfinite": step.options.nonfinite.value,
        "schedulers": [type(scheduler).__name__ for scheduler in step.schedulers],
    }
    if step.policy.scaler is not None:
        facts["init_scale"] = step.policy.scaler.settings.init_scale
    for number, optimizer in enumerate(step.optimizers):
        name = "optimizer" if number == 0 else f"optimizer_{number + 1}"
        facts[name] = {"type": type(optimizer).__name__, **optimizer.defaults}
    return facts


def _step_figures(record: StepRecord, skipped: int) -> dict[str, float]:
    figures = {
        "train/loss": record.loss,
        "train/grad_norm": record.grad_norm,
        "train/lr": record.lr,
        "train/skipped": float(record.skipped),
        "train/skipped_total": float(skipped),
        "throughput/examples_per_s": record.examples / max(record.step_s + record.wait_s, 1e-9),
        "throughput/step_s": record.step_s,
        "throughput/wait_s": record.wait_s,
    }
    return figures if record.scale is None else {**figures, "train/loss_scale": record.scale}


def _metric_figures(group: str, metrics: Metrics) -> dict[str, float]:
    figures = {f"{group}/loss": metrics.loss, f"{group}/perplexity": metrics.perplexity}
    return figures if metrics.accuracy is None else {**figures, f"{group}/accuracy": metrics.accuracy}
