"""One call of a model with its backward pass, and everything that comes out of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ..compilation import backward_outside_autocast
from . import trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from .config import Pass
    from .trees import Sample

_LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a call is made. `input_gradients`: floating inputs are leaves that need one."""

    precision: str
    which: Pass
    device: torch.device
    seed: int = 0
    input_gradients: bool = True

    @property
    def with_gradients(self) -> bool:
        return self.which != "inference"

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context for the forward pass."""
        if self.precision not in _LOW:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=_LOW[self.precision])


@dataclass(frozen=True, slots=True)
class Seen:
    """A tensor that came out of a call: as it was, by dtype and shape, and its values. `values` None: there is none."""

    kind: str
    dtype: torch.dtype | None
    shape: tuple[int, ...]
    values: torch.Tensor | None


@dataclass(slots=True)
class Result:
    """All that came out of a call: tensors by name, and other values by path."""

    tensors: dict[str, Seen] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def add(self, kind: str, path: str, tensor: torch.Tensor | None) -> None:
        name = f"{kind} {path}".strip()
        if tensor is None:
            self.tensors[name] = Seen(kind, None, (), None)
            return
        self.tensors[name] = Seen(kind, tensor.dtype, tuple(tensor.shape), _values(tensor))


def run_once(call: Callable[..., Any], model: torch.nn.Module, sample: Sample, conditions: Conditions) -> Result:
    """Call a model, or what was compiled from it, and go backward from all outputs.

    The gradients at the outputs are drawn from the seed and exact in every precision. Nothing is added to `.grad`, and
    no hook that waits for it is called. The sample is left alone: the model gets copies, and what it wrote into them is
    part of the result.

    Args:
        model: whose parameters and buffers are looked at.
    """
    held, given = _given(sample, conditions)
    torch.manual_seed(conditions.seed)
    result = Result()
    with torch.set_grad_enabled(conditions.with_gradients), backward_outside_autocast():
        with conditions.autocast():
            output = call(*given.args, **given.kwargs)
        found = list(trees.leaves(output))
        if conditions.with_gradients:
            _backward([leaf for _path, leaf in found], held, model, conditions, result)
    result.others["the type of the output"] = type(output)
    for path, leaf in found:
        if isinstance(leaf, torch.Tensor):
            result.add("output", path, leaf)
        else:
            result.others[f"output {path}".strip()] = leaf
    for path, tensor in given.tensors().items():
        result.add("input", path, tensor)
    for name, buffer in model.named_buffers():
        result.add("buffer", name, buffer)
    return result


def stepping(
    call: Callable[..., Any], model: torch.nn.Module, sample: Sample, conditions: Conditions
) -> Callable[[], None]:
    """Return what makes one call with its backward pass and keeps nothing, for a clock."""
    sources = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights: list[torch.Tensor] = []

    def step() -> None:
        held, given = _given(sample, conditions)
        with torch.set_grad_enabled(conditions.with_gradients):
            with conditions.autocast():
                output = call(*given.args, **given.kwargs)
            wanted = [*sources, *held.values()]
            if not conditions.with_gradients or not wanted:
                return
            outputs = [leaf for _path, leaf in trees.leaves(output) if _is_differentiable(leaf)]
            if not weights:
                weights.extend(_weights(one, number, conditions.seed) for number, one in enumerate(outputs))
            if outputs:
                torch.autograd.grad(outputs, wanted, weights, allow_unused=True)

    return step


def autocast_dtype(precision: str) -> torch.dtype:
    """Return the format that matrix products run in."""
    return _LOW.get(precision, torch.float32)


def _given(sample: Sample, conditions: Conditions) -> tuple[dict[str, torch.Tensor], Sample]:
    """Return the tensors that get gradients, by path, and a copy of the sample for the model to write into."""
    held: dict[int, torch.Tensor] = {}

    def copied(tensor: torch.Tensor) -> torch.Tensor:
        leaf = tensor.detach().clone()
        wanted = tensor.requires_grad or (conditions.input_gradients and tensor.is_floating_point())
        if conditions.with_gradients and wanted:
            held[id(tensor)] = leaf.requires_grad_()
        return leaf

    given = sample.changed(copied)
    named = {path: held[id(tensor)] for path, tensor in sample.tensors().items() if id(tensor) in held}
    return named, given


def _backward(
    found: list[Any], held: dict[str, torch.Tensor], model: torch.nn.Module, conditions: Conditions, result: Result
) -> None:
    outputs = [leaf for leaf in found if _is_differentiable(leaf)]
    names = [("input gradient", path) for path in held]
    sources = list(held.values())
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            names.append(("gradient", name))
            sources.append(parameter)
    if not outputs or not sources:
        return
    weights = [_weights(output, number, conditions.seed) for number, output in enumerate(outputs)]
    gradients = torch.autograd.grad(outputs, sources, weights, allow_unused=True)
    for (kind, path), gradient in zip(names, gradients, strict=True):
        result.add(kind, path, gradient)


def _is_differentiable(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.requires_grad


def _weights(output: torch.Tensor, number: int, seed: int) -> torch.Tensor:
    """Return the gradient at an output: multiples of 1/8 from -2 to 2, exact in every format, drawn by no generator."""
    positions = torch.arange(output.numel(), device=output.device, dtype=torch.float64)
    hashed = torch.sin((positions + 1) * 12.9898 + 78.233 * (number + 1) + seed) * 43758.5453
    return ((((hashed - hashed.floor()) * 33).floor() - 16) / 8).reshape(output.shape).to(output.dtype)


def _values(tensor: torch.Tensor) -> torch.Tensor:
    """Return the values, flat: floats as float64, integers and booleans as int64."""
    plain = tensor.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj())
    wide = torch.float64 if plain.is_floating_point() else torch.int64
    return plain.to(wide, copy=True).flatten()
