"""Train FP32 and AMP from the same seeds for the same number of steps, and compare what came out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from amp_runtime.workloads.contract import WorkloadFactory

METHOD = "AMP less FP32 after the same steps from the same seed, each validated in its own precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long and from which seeds both are trained before they are compared.

    Raises:
        ValueError: no steps, or a seed twice.
    """

    steps: int = 40
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a budget needs at least one step, not {self.steps}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"each seed counts once, and {list(self.seeds)} has one twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Validation figures in the order of the seeds. Accuracies are empty where the workload gives none."""

    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()


class QualityError(RuntimeError):
    """A run ended in a model that cannot be judged."""


def train_from_seeds(factory: WorkloadFactory, budget: Budget, *, amp: bool) -> Quality:
    """Train once per seed and measure `loss` and, where it is given, `accuracy` of `evaluate()`.

    Raises:
        QualityError: a figure that is not finite, or that only some seeds gave.
    """
    found: dict[str, list[float]] = {"loss": [], "accuracy": []}
    for seed in budget.seeds:
        torch.manual_seed(seed)  # of what is drawn while training: dropout, augmentation
        workload = factory(amp=amp, seed=seed)
        if not found.keys() & workload.evaluate().keys():
            return Quality()  # nothing would come of the training
        for _ in range(budget.steps):
            workload.step()
        metrics = workload.evaluate()
        for name, values in found.items():
            if name in metrics:
                values.append(_finite(float(metrics[name]), name, seed, workload.precision))
    for name, values in found.items():
        if len(values) not in (0, len(budget.seeds)):
            raise QualityError(f"evaluate() gave {name!r} for {len(values)} of {len(budget.seeds)} seeds")
    return Quality(losses=tuple(found["loss"]), accuracies=tuple(found["accuracy"]))


def _finite(value: float, name: str, seed: int, precision: str) -> float:
    if not math.isfinite(value):
        raise QualityError(f"training in {precision} from seed {seed} ended with a validation {name} of {value}")
    return value
