"""What a workload is: a factory `(amp, seed)` and the object it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import torch

from amp_runtime.capability import capability_of
from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.precision import Precision
from amp_runtime.workloads.resuming import Resuming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amp_runtime.metrics import Metrics
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")
Model = TypeVar("Model", bound=torch.nn.Module)


@runtime_checkable
class Workload(Protocol):
    """A training run that somebody else paces.

    The same seed gives the same data, in the same order, and the same first weights, with and without AMP. One that can
    be saved has `state_dict()` and `load_state_dict(state)` too; then a saved and resumed run is compared with a
    straight one.
    """

    model: torch.nn.Module
    precision: str  # "fp32", "bf16" or "fp16": what it really trains in

    def step(self) -> float:
        """Train on the next batch; returns its loss, taken before the weights changed."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Measure the model on data it never trains on; changes nothing."""
        ...


class WorkloadFactory(Protocol):
    """What a `module:factory` name in a task stands for. Called with keywords."""

    def __call__(self, *, amp: bool, seed: int) -> Workload: ...


class PacedWorkload(Resuming[Batch]):
    """A workload made of a training step, an endless stream of batches and an evaluation."""

    def __init__(
        self, step: TrainingStep[Batch], batches: Iterator[Batch], measure: Callable[[], dict[str, float]]
    ) -> None:
        super().__init__(batches, (step,))
        self.model = step.model
        self.precision = step.policy.precision.value
        self.policy = step.policy
        self.training_step = step
        self.loss_scales: list[float] = []  # what a log of this run would hold, one number per scaled step
        self._measure = measure

    def step(self) -> float:
        report = self.training_step.run((self.next_batch(),))
        if (scale := report.scale) is not None:
            self.loss_scales.append(scale)
        return report.loss

    def evaluate(self) -> dict[str, float]:
        return self._measure()


def workload_device() -> str:
    """Return `"cuda"` where there is one, else `"cpu"`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def best_config(*, amp: bool) -> AmpConfig:
    """Return fp32, or with `amp` the best format this machine can train in, emulated ones included."""
    device = workload_device()
    if not amp:
        return AmpConfig(device=device, reason="AMP is off")
    best = capability_of(device).best_amp()
    return AmpConfig(precision=best.precision, device=device, reason=best.reason)


def fp16_config(*, amp: bool) -> AmpConfig:
    """Return fp32, or with `amp` float16 with a loss scaler, on any device.

    The first scale is smaller than usual: a healthy run then has no overflow, so it can be compared with fp32 step by
    step. It grows after 20 good steps, so that a short run sees the scale change.
    """
    device = workload_device()
    if not amp:
        return AmpConfig(device=device, reason="AMP is off")
    return AmpConfig(
        precision=Precision.FP16,
        device=device,
        reason="this workload exists to exercise loss scaling",
        loss_scaling=LossScaling(init_scale=4096.0, growth_interval=20),
    )


def figures(metrics: Metrics) -> dict[str, float]:
    """Put metrics in the form `Workload.evaluate` returns; what was not counted is left out."""
    found = {"loss": metrics.loss}
    if metrics.accuracy is not None:
        found["accuracy"] = metrics.accuracy
    return found


def seeded(build: Callable[[], Model], seed: int) -> Model:
    """Build a model whose first weights depend on `seed` alone; leaves the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
