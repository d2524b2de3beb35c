"""Plant what happens to every long training sooner or later: one gradient that overflows, and one batch with a NaN.

Most mistakes around a GradScaler show only in such a step, and a short run may have none of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .events import AutocastEntered, BackwardDone, StepEnded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .events import Event
    from .run import Run

OVERFLOW = "overflow"
NAN_BATCH = "nan-batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """In which training steps, from 1, what is planted; None: not at all.

    Raises:
        ValueError: a step that is not positive, or the same step for both.
    """

    overflow_at: int | None = 4
    nan_batch_at: int | None = 7

    def __post_init__(self) -> None:
        for name in ("overflow_at", "nan_batch_at"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a step from 1 on, or None, not {value!r}")
        if self.overflow_at is not None and self.overflow_at == self.nan_batch_at:
            raise ValueError("two faults in one step could not be told apart; plant them in different steps")


class Faults:
    """Plants the faults of a plan, and takes back what they broke, so that the rest of the run shows something too.

    Only training in low precision is disturbed: without an autocast region of float16 or bfloat16, nothing is planted.
    What is taken back: parameters, optimizer state and buffers that are not finite at the end of such a step, by the
    values they had before it. The checks have looked at them by then.
    """

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._low_precision = False
        self._hooks: list[Any] = []
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.done: list[str] = []
        run.listeners.append(self._hear)
        self._prepare()

    def remove(self) -> None:
        """Take every hook away, and say what could not be planted."""
        self._unhook()
        wanted = ((OVERFLOW, self._plan.overflow_at), (NAN_BATCH, self._plan.nan_batch_at))
        if missing := [kind for kind, step in wanted if step is not None and kind not in self.done]:
            self._run.problem(f"not planted: {', '.join(missing)}; the run has shown nothing about such a step")

    def _hear(self, event: Event) -> None:
        if isinstance(event, AutocastEntered):
            self._low_precision = self._low_precision or (event.enabled and event.dtype in ("float16", "bfloat16"))
        elif isinstance(event, BackwardDone):
            if event.step == self._plan.overflow_at and not self._run.planted and self._low_precision:
                self._overflow(event)
        elif isinstance(event, StepEnded):
            if self._run.planted:
                self._take_back()
            self._prepare(event.step + 1)

    def _prepare(self, step: int = 1) -> None:
        """Get ready for a step, before its forward begins."""
        self._unhook()
        if step in (self._plan.overflow_at, self._plan.nan_batch_at):
            self._run.look_closer()
        if step == self._plan.nan_batch_at and self._low_precision:
            hook = torch.nn.modules.module.register_module_forward_pre_hook(self._first_call)
            self._hooks.append(hook)

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _overflow(self, event: BackwardDone) -> None:
        changed = [gradient for part in event.changed for gradient in part.gradients()]
        tensors = (gradient.tensor() for gradient in changed)
        target = next((one for one in tensors if one is not None and one.layout is torch.strided and one.numel()), None)
        if target is None:
            return
        self._remember(())
        with torch.no_grad():
            target[(0,) * target.dim()] = math.inf
        for gradient in changed:
            gradient.settle()
        self._planted(OVERFLOW)

    def _planted(self, kind: str) -> None:
        self._run.planted = kind
        self.done.append(kind)

    def _first_call(self, module: torch.nn.Module, args: tuple[Any, ...]) -> Any:
        """Put a NaN into the first sample of the first batch that a module in training gets."""
        if self._run.muted or not module.training or not torch.is_grad_enabled():
            return None
        self._unhook()
        self._remember(module.buffers())
        poisoned = tuple(_poisoned(one) for one in args)
        if any(one is not other for one, other in zip(poisoned, args, strict=True)):
            self._planted(NAN_BATCH)
            return poisoned
        self._hooks.append(torch.nn.modules.module.register_module_forward_hook(self._first_result))
        return None  # a batch of token numbers: the first activation made of it gets the NaN

    def _first_result(self, module: torch.nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        poisoned = _poisoned(result)
        if self._run.muted or poisoned is result:
            return None
        self._unhook()
        self._planted(NAN_BATCH)
        return poisoned

    def _remember(self, buffers: Iterable[torch.Tensor]) -> None:
        self._before = [(one, one.detach().clone()) for one in (*self._owned(), *buffers) if one.is_floating_point()]

    def _owned(self) -> Iterable[torch.Tensor]:
        for reference in self._run.optimizers.values():
            optimizer = reference()
            if optimizer is None:
                continue
            for group in optimizer.param_groups:
                yield from group["params"]
            for state in optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, torch.Tensor))

    def _take_back(self) -> None:
        broken = [(one, before) for one, before in self._before if not bool(one.detach().isfinite().all())]
        with torch.no_grad():
            for one, before in broken:
                one.copy_(before)
        self._before = []
        if broken:
            self._run.problem(
                f"step {self._run.step}: {len(broken)} tensors (parameters, optimizer state, buffers) were not finite "
                f"after the planted {self._run.planted}; they got their values of before back, and training went on"
            )


def _poisoned(value: Any) -> Any:
    """Return a batch with NaN in its first sample; the same object where it has no floating tensor."""
    if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() and value.dim():
        copy = value.clone()
        copy[0] = math.nan
        return copy
    if isinstance(value, (list, tuple)):
        parts = [_poisoned(one) for one in value]
        if all(one is other for one, other in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        changed = {key: _poisoned(one) for key, one in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    return value
