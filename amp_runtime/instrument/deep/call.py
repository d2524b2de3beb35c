"""One operator call: what went in, what came out, and where in the program it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .operators import FLOATS, HALF, Operator

if TYPE_CHECKING:
    from .sites import Place
    from .stacks import Where

_NO_SUBCLASS = torch.Tensor.__torch_dispatch__


class Call:
    """An operator and its tensors, while it runs. Nothing may hold it longer, or tensors would outlive their use.

    `inputs` and `results` are tensors with the name of their argument; results are what was newly made or written.
    """

    __slots__ = (
        "args", "autocast", "begun", "func", "inputs", "kwargs", "number", "operator", "out", "place", "recomputed",
        "results", "where",
    )  # fmt: skip

    def __init__(self, func: Any, operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.func = func
        self.operator = operator
        self.args = args
        self.kwargs = kwargs
        self.inputs: list[tuple[str, torch.Tensor]] = list(_named(operator, args, kwargs))
        self.results: list[tuple[str, torch.Tensor]] = []
        self.out: Any = None
        self.number = 0
        self.autocast: bool | None = None
        self.recomputed = False
        self.begun: Any = None  # what was taken before it ran
        self.place: Place
        self.where: Where

    @property
    def forward(self) -> bool:
        return self.place.phase == "forward"

    @property
    def in_passes(self) -> bool:
        """Whether it belongs to the forward or the backward pass, and not to what is done with gradients then."""
        return self.place.phase in ("forward", "backward")

    @property
    def computes(self) -> bool:
        """Whether numbers come out that were not there before."""
        return not self.operator.views and not self.operator.reshapes

    @property
    def draws(self) -> bool:
        """Whether random numbers are really drawn: attention without dropout is marked as random too."""
        return self.operator.draws and self.argument("dropout_p") != 0.0

    def argument(self, name: str) -> Any:
        """Return an argument by its name in the schema; None if it was not given."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = self.operator.arguments
        position = names.index(name) if name in names else len(self.args)
        return self.args[position] if position < len(self.args) else None

    def named(self) -> Iterator[tuple[str, Any]]:
        """Yield every argument that was given, with its name."""
        yield from zip(self.operator.arguments, self.args, strict=False)
        yield from self.kwargs.items()

    def written(self) -> Iterator[torch.Tensor]:
        return (tensor for name, tensor in self.inputs if name in self.operator.written)

    def ran(self, out: Any) -> None:
        """Take the result. A tensor over the memory of an operand is a view of it, and no result."""
        self.out = out
        memory = {tensor.untyped_storage()._cdata for _, tensor in self.inputs}
        self.results = [(name, tensor) for name, tensor in self.inputs if name in self.operator.written]
        for tensor in tensors_in(out):
            if plain(tensor) and tensor.untyped_storage()._cdata not in memory:
                self.results.append(("result", tensor))


def _named(operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in zip(operator.arguments, args, strict=False):
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, (list, tuple)):
            yield from ((name, tensor) for tensor in tensors_in(value))
    for name, value in kwargs.items():
        yield from ((name, tensor) for tensor in tensors_in(value))


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a value that ATen takes or gives: a tensor, a list of such values, or anything else."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)


def plain(tensor: torch.Tensor) -> bool:
    """Whether it is a strided tensor with memory of its own, and nobody else's kind of tensor."""
    return (
        type(tensor).__torch_dispatch__ is _NO_SUBCLASS
        and tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and not tensor._is_zerotensor()
        and (not tensor.numel() or tensor.untyped_storage().nbytes() > 0)  # FSDP takes memory away from parameters
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def is_half(tensor: torch.Tensor) -> bool:
    return tensor.dtype in HALF


def is_float(tensor: torch.Tensor) -> bool:
    return tensor.dtype in FLOATS
