"""Copies of a caller's model as workloads, so that what is measured is never what was given."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from amp_runtime.config import AmpConfig
from amp_runtime.metrics import evaluate
from amp_runtime.policy import policy_for
from amp_runtime.step import TrainingStep

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from amp_runtime.objective import Objective
    from amp_runtime.step import StepOptions
    from amp_runtime.workloads.contract import Workload

Batch = TypeVar("Batch")
OptimizerFactory = Callable[[Iterable[torch.nn.Parameter]], "Optimizer"]


class ModelSubject(Generic[Batch]):
    """Makes fresh training runs of one model, in FP32 and under a configuration. The model itself is only copied.

    Args:
        batches: on the device of `config`; trained on in an order that the seed decides.
        make_optimizer: called with the parameters of each copy: `lambda p: torch.optim.AdamW(p, lr=1e-3)`.
        validation: without it, quality is not compared.
        options: clipping and the like, the same for both.

    Raises:
        ValueError: no batches, a configuration without AMP, or a model that is elsewhere than the configuration says.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        batches: Sequence[Batch],
        objective: Objective[Batch],
        make_optimizer: OptimizerFactory,
        config: AmpConfig,
        *,
        validation: Sequence[Batch] = (),
        options: StepOptions | None = None,
    ) -> None:
        if not config.enabled:
            raise ValueError(f"the configuration trains in {config.precision}, so there is nothing to compare")
        if not batches:
            raise ValueError("there are no batches to train on")
        wanted = torch.device(config.device)
        for parameter in model.parameters():
            if parameter.device.type != wanted.type:
                raise ValueError(f"the model is on {parameter.device}, the configuration says {wanted}")
        self._model = model
        self._batches = batches
        self._objective = objective
        self._make_optimizer = make_optimizer
        self._config = config
        self._validation = validation
        self._options = options

    def __call__(self, *, amp: bool, seed: int) -> Workload:
        config = self._config if amp else AmpConfig(device=self._config.device, reason="the baseline")
        model = _copy(self._model).train()
        step = TrainingStep(
            model, self._make_optimizer(model.parameters()), policy_for(config), self._objective, options=self._options
        )
        return _ModelRun(step, _endless(self._batches, seed), self._validation)


class _ModelRun(Generic[Batch]):
    """A workload on one copy."""

    def __init__(self, step: TrainingStep[Batch], batches: Iterator[Batch], validation: Sequence[Batch]) -> None:
        self.model = step.model
        self.precision = step.policy.precision.value
        self._step = step
        self._batches = batches
        self._validation = validation

    def step(self) -> float:
        return self._step.run((next(self._batches),)).loss

    def evaluate(self) -> dict[str, float]:
        if not self._validation:
            return {}
        seen = evaluate(self.model, self._validation, self._step.policy, self._step.objective)
        found = {"loss": seen.loss}
        if seen.accuracy is not None:
            found["accuracy"] = seen.accuracy
        return found


def _copy(model: Any) -> Any:
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"the model cannot be copied, and a benchmark must not train the one it was given: {error}; "
            "give the benchmark a factory that builds it instead"
        ) from error


def _endless(batches: Sequence[Batch], seed: int) -> Iterator[Batch]:
    """Yield the batches over and over, each pass in an order of its own that the seed decides."""
    draw = random.Random(seed)
    order = list(range(len(batches)))
    while True:
        draw.shuffle(order)
        for position in order:
            yield batches[position]
