"""Record what every optimizer step of a training receives and does: true gradients, and the updates made of them."""

from __future__ import annotations

import contextlib
import copy
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 1 << 14  # elements of one tensor that are kept; of larger ones an even sample


@dataclass(slots=True)
class Effective:
    """One optimizer step that took effect; lists are in the order of the optimizer's parameters.

    Args:
        gradients: float32 on the CPU, as the optimizer received them: without loss scale, clipped if it was. None
            where the parameter had none. This is the update that plain gradient descent would make, up to its rate,
            and no optimizer's scale invariance hides anything in it.
        updates: parameter after the step minus before.
    """

    optimizer: int
    gradients: list[torch.Tensor | None]
    updates: list[torch.Tensor]


@dataclass(slots=True)
class Recording:
    """One training: its losses, and its effective optimizer steps in order."""

    losses: list[float] = field(default_factory=list)
    steps: list[Effective] = field(default_factory=list)


class Recorder:
    """Hears the optimizer steps of this process while `recording` is open. Changes nothing.

    Steps that a scaler leaves out are no effective steps: an optimizer with a fused kernel is called all the same, and
    is told by `found_inf` to do nothing.

    Args:
        undo: numbers of calls, from 0, whose optimizer steps are taken back: another training has skipped them.
    """

    def __init__(self, undo: frozenset[int] = frozenset()) -> None:
        self.kept = Recording()
        self.call = 0  # which step of the training runs, from 0
        self._undo = undo
        self._optimizers: list[Any] = []
        self._before: list[torch.Tensor] = []
        self._parameters: list[torch.Tensor] = []
        self._state: dict[Any, dict[str, Any]] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recording]:
        handles = [
            register_optimizer_step_pre_hook(lambda optimizer, _args, _kwargs: self._begin(optimizer)),
            register_optimizer_step_post_hook(lambda optimizer, _args, _kwargs: self._end(optimizer)),
        ]
        try:
            yield self.kept
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, optimizer: Any) -> None:
        self._before = [sample(parameter.detach()) for parameter in _parameters(optimizer)]
        if self.call in self._undo:
            self._parameters = [one.detach().clone() for one in _parameters(optimizer)]
            self._state = {owner: copy.deepcopy(state) for owner, state in optimizer.state.items()}

    def _end(self, optimizer: Any) -> None:
        if self.call in self._undo:
            self._take_back(optimizer)
            return
        found_inf = getattr(optimizer, "found_inf", None)
        if found_inf is not None and float(found_inf) > 0:
            return
        if not any(known is optimizer for known in self._optimizers):
            self._optimizers.append(optimizer)
        number = next(place for place, known in enumerate(self._optimizers) if known is optimizer)
        parameters = _parameters(optimizer)
        gradients = [None if one.grad is None else sample(one.grad.detach()) for one in parameters]
        updates = [sample(one.detach()) - old for one, old in zip(parameters, self._before, strict=True)]
        self.kept.steps.append(Effective(optimizer=number, gradients=gradients, updates=updates))

    def _take_back(self, optimizer: Any) -> None:
        with torch.no_grad():
            for one, old in zip(_parameters(optimizer), self._parameters, strict=True):
                one.copy_(old)
        optimizer.state.clear()
        optimizer.state.update(self._state)


def _parameters(optimizer: Any) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def sample(tensor: torch.Tensor) -> torch.Tensor:
    """Return an even sample of a tensor's elements, float32, on the CPU, of its own memory."""
    dense = tensor.to_dense() if tensor.layout is not torch.strided else tensor
    flat = dense.reshape(-1)
    every = math.ceil(flat.numel() / _MOST) if flat.numel() > _MOST else 1
    return flat[::every].to(device="cpu", dtype=torch.float32, copy=True)
