"""Say whether a training that was saved and resumed goes on as one that was never interrupted."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from .records import Resumed
from .sanitizer import Sanitizer

STEPS = 4


class Resumable(Protocol):
    """A training that can be saved: what `step`, `state_dict` and `load_state_dict` usually mean."""

    def step(self) -> float: ...

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object: ...


def check_resume(make: Callable[[], Resumable], *, steps: int = STEPS, seed: int = 0) -> Resumed:
    """Train `2 * steps` steps straight, and again with a save, a load into a new training, and the rest.

    Both must have the same losses, bit for bit, the same states of their GradScalers (scale and growth), and the same
    state at the end. The state goes through `torch.save` and `torch.load(weights_only=True)`, as a checkpoint does. The
    global generators of random numbers are seeded anew in the middle of both: whether a program stores their state is
    its own affair.

    Raises:
        ValueError: fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"at least one step must be trained before and after the save, not {steps}")
    straight = make()
    first = [float(straight.step()) for _ in range(steps)]
    expected, scalers = _rest(straight, steps, seed)
    saved = make()
    for _ in range(steps):
        saved.step()
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    resumed = make()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    losses, resumed_scalers = _rest(resumed, steps, seed)
    wrong = []
    if not _same(expected, losses):
        wrong.append("losses")
    if scalers != resumed_scalers:
        wrong.append("loss scaler")
    if not _same(straight.state_dict(), resumed.state_dict()):
        wrong.append("state at the end")
    return Resumed(
        steps=steps, holds=not wrong, wrong=tuple(wrong), straight=(*first, *expected), resumed=tuple(losses)
    )


def _rest(training: Resumable, steps: int, seed: int) -> tuple[list[float], list[dict[str, float]]]:
    random.seed(seed)
    torch.manual_seed(seed)
    with Sanitizer(checks=()) as watching:
        losses = [float(training.step()) for _ in range(steps)]
        found = [seen.scaler() for seen in watching.run.scalers.values()]
        states = [one.state_dict() for one in found if one is not None]
    return losses, [{key: float(state[key]) for key in ("scale", "_growth_tracker")} for state in states]


def _same(left: Any, right: Any) -> bool:
    """Whether two states are equal, tensors bit for bit; NaN equals NaN."""
    if isinstance(left, torch.Tensor):
        same_kind = isinstance(right, torch.Tensor) and left.dtype == right.dtype and left.shape == right.shape
        return same_kind and bool(torch.equal(torch.nan_to_num(left), torch.nan_to_num(right)))
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping) and left.keys() == right.keys() and all(_same(left[k], right[k]) for k in left)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(_same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return bool(left == right)
