"""What a training run leaves behind: one record per step, validation and epoch, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step.

    Args:
        number: of the step, from 1, skipped ones included.
        epoch: in which it was taken.
        loss: mean over `examples` predictions, before the weights changed.
        grad_norm: total L2 norm of the true gradients, before clipping.
        lr: learning rate of the first parameter group.
        skipped: whether the weights were left alone.
        withheld: whether that was the non-finite policy; otherwise it was the loss scaler.
        scale: loss scale of the step; None without loss scaling.
        step_s: seconds of the step. On a GPU, which works behind, those of its submission: there only means count.
        wait_s: seconds waited for its data.
    """

    number: int
    epoch: int
    loss: float
    examples: int
    grad_norm: float
    lr: float
    skipped: bool
    withheld: bool
    scale: float | None
    step_s: float
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRecord:
    """One validation: after which step, with what result, and how many seconds it took."""

    step: int
    epoch: int
    metrics: Metrics
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch, or the part of it after which training was stopped.

    Args:
        step: number of its last step.
        train: means over the steps that changed the weights; None where every step was skipped.
        validation: of the weights at its end.
        skipped: steps that did not change the weights; `withheld` of them by the non-finite policy.
        examples_per_s: predictions trained on per second of training, validation not counted.
        step_time_s: mean seconds per step, waiting for data included.
        scale: loss scale of the last step.
    """

    epoch: int
    step: int
    steps: int
    skipped: int
    withheld: int
    train: Metrics | None
    validation: Metrics | None
    examples_per_s: float
    step_time_s: float
    scale: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A whole run, oldest first; of a resumed one, the part since.

    Args:
        ended: why training ended, in words.
        interrupted: whether it was by Ctrl-C.
        failures: what went wrong beside training, one sentence each, such as a tracker that failed.
    """

    steps: tuple[StepRecord, ...] = ()
    epochs: tuple[EpochRecord, ...] = ()
    validations: tuple[ValidationRecord, ...] = ()
    ended: str = ""
    interrupted: bool = False
    failures: tuple[str, ...] = ()

    @property
    def scales(self) -> tuple[float, ...]:
        """The loss scale of each step; empty without loss scaling."""
        return tuple(step.scale for step in self.steps if step.scale is not None)

    @property
    def overflows(self) -> tuple[int, ...]:
        """Numbers of the steps that the loss scaler skipped."""
        return tuple(step.number for step in self.steps if step.skipped and not step.withheld)

    @property
    def withheld(self) -> tuple[int, ...]:
        """Numbers of the steps that the non-finite policy skipped."""
        return tuple(step.number for step in self.steps if step.withheld)


def describe(record: EpochRecord) -> str:
    """Put an epoch in one line."""
    parts = [f"epoch {record.epoch}: {record.steps} steps, {record.skipped} skipped"]
    for name, metrics in (("train", record.train), ("validation", record.validation)):
        if metrics is not None:
            accuracy = "" if metrics.accuracy is None else f", accuracy {metrics.accuracy:.4f}"
            parts.append(f"{name} loss {metrics.loss:.4f}, perplexity {metrics.perplexity:.4g}{accuracy}")
    parts.append(f"{record.examples_per_s:.0f} examples/s")
    parts.append(f"{record.step_time_s * 1000:.3g} ms per step")
    if record.scale is not None:
        parts.append(f"loss scale {record.scale:g}")
    return "; ".join(parts)
