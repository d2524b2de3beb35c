"""The gradient that arrives at each parameter, beside its FP32 shadow (AMP319), and the loss it comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from .call import Call, is_half
from .operators import short
from .records import GradientSeen, LossSeen

if TYPE_CHECKING:
    from .memory import Memory
    from .names import Names
    from .readings import Readings
    from .shadows import Shadows

_ACCUMULATES = "AccumulateGrad"
_TAKES_FIRST = frozenset({"aten.detach", "aten.clone", "aten.new_empty_strided", "aten.alias"})
_TAKES_SECOND = frozenset({"aten.add", "aten.add_"})
_MAKES_ROOTS = torch.autograd._make_grads.__code__
_UNSCALES = "aten._amp_foreach_non_finite_check_and_unscale_"


class _Sums:
    """What is known of one parameter's gradients so far."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.half = ""
        self.compared = True
        self.counts = [0] * 6  # elements, zeros, subnormal, nonzero, zeroed, overflowed
        self.squares = [math.nan] * 4  # of the gradient, the shadow, the difference; and the product of both

    def add(self, elements: int, values: list[float]) -> None:
        figures = (elements, *values[:5])
        self.counts = [old + int(new) for old, new in zip(self.counts, figures, strict=True)]
        self.squares = values[5:]

    def record(self, name: str) -> GradientSeen:
        elements, zeros, subnormal, nonzero, zeroed, overflowed = self.counts
        real, fp32, difference = (math.sqrt(square) for square in self.squares[:3])
        if not self.compared:
            nonzero = zeroed = overflowed = 0
            fp32 = math.nan
        return GradientSeen(
            name=name,
            dtype=self.dtype,
            half=self.half,
            compared=self.compared,
            elements=elements,
            zeros=zeros,
            nonzero=nonzero,
            zeroed=zeroed,
            subnormal=subnormal,
            overflowed=overflowed,
            norm=real,
            fp32_norm=fp32,
            relative_error=difference / fp32 if fp32 else math.nan,
            cosine=self.squares[3] / (real * fp32) if real and fp32 else math.nan,
        )


class Gradients:
    """Reads each gradient as the autograd engine hands it over, before anything else is done with it."""

    def __init__(self, shadows: Shadows, memory: Memory, names: Names, readings: Readings) -> None:
        self._shadows = shadows
        self._memory = memory
        self._names = names
        self._readings = readings
        self._last: tuple[int, int] = (-1, -1)
        self._sums: dict[int, tuple[str, _Sums]] = {}
        self._losses: list[LossSeen] = []
        self._scales: list[float] = []
        self.unnamed = 0
        self.unread: set[str] = set()

    def before(self, call: Call) -> None:
        if call.place.phase == "backward":
            self._arrives(call)
        elif call.operator.name == "aten.ones_like":
            if call.where.call is not None and call.where.call[0] is _MAKES_ROOTS:
                self._starts(call.args[0])
        elif call.operator.name == _UNSCALES:
            self._readings.ask((call.args[2].float(),), lambda values: self._scales.append(values[0]))

    def records(self) -> tuple[GradientSeen, ...]:
        return tuple(sums.record(name) for name, sums in self._sums.values())

    def losses(self) -> tuple[LossSeen, ...]:
        return tuple(self._losses)

    def scale(self) -> float | None:
        """Return what the gradients were divided by last; None if nothing was unscaled."""
        return 1.0 / self._scales[-1] if self._scales and self._scales[-1] else None

    def _starts(self, loss: torch.Tensor) -> None:
        if loss.numel() != 1:
            return
        fp32 = self._shadows.of(loss).reshape(()).clone()

        def read(values: list[float]) -> None:
            self._losses.append(LossSeen(value=values[0], fp32=values[1]))

        self._readings.ask((loss.detach().reshape(()).clone(), fp32), read)

    def _arrives(self, call: Call) -> None:
        node: Any = torch._C._current_autograd_node()
        if node is None or not node.name().endswith(_ACCUMULATES):
            return
        key = (torch._C._current_graph_task_id(), id(node.variable))
        if key == self._last:
            return  # what follows in the same node is not the gradient's arrival
        self._last = key
        position = 0 if call.operator.name in _TAKES_FIRST else 1 if call.operator.name in _TAKES_SECOND else -1
        gradient = call.args[position] if 0 <= position < len(call.args) else None
        if isinstance(gradient, torch.Tensor):
            self._measure(node.variable, gradient)
        else:
            self.unread.add(call.operator.name)

    def _measure(self, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        name = self._names.of_tensor(parameter)
        if id(parameter) not in self._sums:
            self.unnamed += not name
            shown = name or f"tensor {self.unnamed} of shape {tuple(parameter.shape)}"
            self._sums[id(parameter)] = (shown, _Sums(short(parameter.dtype)))
        sums = self._sums[id(parameter)][1]
        cell = self._memory.find(gradient)
        half = gradient.dtype if is_half(gradient) else None if cell is None else cell.half
        if half is not None:
            sums.half = short(half)
        sums.compared = sums.compared and self._has_reference(gradient)
        figures = _figures(gradient.detach(), self._shadows.of(gradient), half)
        elements = gradient.numel()
        self._readings.ask(figures, lambda values: sums.add(elements, values))

    def _has_reference(self, gradient: torch.Tensor) -> bool:
        """Whether it has a shadow, or comes in FP32 from an operator that was seen and is therefore its own."""
        cell = self._memory.find(gradient)
        if self._memory.stopped or cell is None:
            return False
        return cell.shadow is not None or (cell.place is not None and not is_half(gradient))


def _figures(real: torch.Tensor, shadow: torch.Tensor, half: torch.dtype | None) -> tuple[torch.Tensor, ...]:
    """Return zeros, subnormal, nonzero, zeroed, overflowed, and four sums over what is finite on both sides.

    These are the squares of both, of their difference, and their product.
    """
    nonzero = shadow != 0
    zero = real == 0
    tiny = 0.0 if half is None else torch.finfo(half).tiny
    subnormal = (~zero & (real.abs() < tiny)).sum()
    finite = real.isfinite()
    overflowed = (~finite & shadow.isfinite()).sum()
    both = finite & shadow.isfinite()
    a = torch.where(both, real, 0.0).double().flatten()
    b = torch.where(both, shadow, 0.0).double().flatten()
    counts = (zero.sum(), subnormal, nonzero.sum(), (nonzero & zero).sum(), overflowed)
    return *counts, a.dot(a), b.dot(b), (a - b).square().sum(), a.dot(b)
