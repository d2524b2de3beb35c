"""Disturb float32 training as much as low precision would by rounding, and no more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable

# What autocast runs in low precision on every device, forward and backward: products of matrices, and what holds them.
_PRODUCTS = re.compile(r"^(addmm|addmv|addbmm|baddbmm|bmm|mm|mv|linear|convolution|_?conv|matmul|dot)|"
                       r"scaled_dot_product|rnn|lstm|gru")  # fmt: skip


class RoundingNoise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Multiplies what goes into and comes out of every product by 1 + e, with e uniform within the unit roundoff.

    Rounding to nearest errs by at most half a unit in the last place, `finfo(dtype).eps / 2` of the value (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 2.2). The true errors depend on the values; these
    are random, so that several runs show by how much training may differ when only the rounding does. Backward passes
    are disturbed as forward ones are: their products come through here too.

    Args:
        dtype: float16 or bfloat16.
        seed: of this run's errors; the program's own random numbers are not touched.
    """

    def __init__(self, dtype: torch.dtype, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._size = torch.finfo(dtype).eps / 2
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not _PRODUCTS.search(func._schema.name.removeprefix("aten::")):
            return func(*args, **kwargs)
        result = func(*[_each(one, self._disturbed) for one in args], **kwargs)
        return _each(result, self._disturbed)

    def _disturbed(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype is not torch.float32 or tensor.dim() == 0:
            return tensor
        generator = self._generators.get(tensor.device)
        if generator is None:
            generator = self._generators[tensor.device] = torch.Generator(tensor.device).manual_seed(self._seed)
        errors = torch.rand(tensor.shape, generator=generator, device=tensor.device).mul_(2).sub_(1)
        return tensor * errors.mul_(self._size).add_(1)


def _each(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)([_each(one, change) for one in value])
    return value
