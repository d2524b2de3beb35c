"""Everything of a model and of its process that a validation changes, given back on every path."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from .. import rng
from ..modes import restored_modes

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT_BY_TORCH = ("_parameters", "_buffers", "_modules")


class Buffers:
    """The buffers of a model as they are now: which tensors, and what they hold."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._kept = [
            (module, name, buffer, None if buffer is None else buffer.detach().clone())
            for module in _once(model)
            for name, buffer in module._buffers.items()
        ]

    def restore(self) -> None:
        """Put the tensors back to where they were, with what they held; forward may have replaced them."""
        with torch.no_grad():
            for module, name, buffer, held in self._kept:
                module._buffers[name] = buffer
                if buffer is not None and held is not None:
                    buffer.copy_(held)


class Parameters:
    """The values of a model's parameters as they are now, whether each is trained, and its gradient."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._kept = [
            (parameter, parameter.detach().clone(), parameter.requires_grad, parameter.grad)
            for parameter in model.parameters()
        ]

    def restore(self) -> None:
        with torch.no_grad():
            for parameter, held, trained, gradient in self._kept:
                parameter.copy_(held)
                parameter.requires_grad_(trained)
                parameter.grad = gradient


@contextmanager
def preserved(model: torch.nn.Module) -> Iterator[None]:
    """Give back modes, parameters, gradients, buffers, plain attributes, random generators and torch's global flags.

    Gradients are the same tensors afterwards, or None where they were; nothing inside may write into them. Of plain
    attributes, which object each module held is given back, not what happened inside of a list or a dictionary.
    """
    buffers, parameters, generators = Buffers(model), Parameters(model), rng.capture()
    attributes = [(module, _plain(module)) for module in _once(model)]
    flags = _flags()
    with restored_modes(model):
        try:
            yield
        finally:
            _restore_flags(flags)
            for module, before in attributes:
                _restore_plain(module, before)
            buffers.restore()
            parameters.restore()
            rng.restore(generators)


def _once(model: torch.nn.Module) -> list[torch.nn.Module]:
    return list(model.modules())


def _plain(module: torch.nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in _KEPT_BY_TORCH}


def _restore_plain(module: torch.nn.Module, before: dict[str, Any]) -> None:
    now = vars(module)
    for name in [name for name in now if name not in before and name not in _KEPT_BY_TORCH]:
        del now[name]
    now.update(before)


def _flags() -> dict[str, Any]:
    return {
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
    }


def _restore_flags(flags: dict[str, Any]) -> None:
    torch.set_grad_enabled(flags["grad"])
    torch.set_default_dtype(flags["dtype"])
    if torch.get_float32_matmul_precision() != flags["matmul"]:
        torch.set_float32_matmul_precision(flags["matmul"])
    torch.use_deterministic_algorithms(flags["deterministic"], warn_only=flags["warn_only"])
    torch.backends.cudnn.benchmark = flags["benchmark"]
