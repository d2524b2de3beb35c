"""Runs every operator that meets a tensor on the emulated CUDA device: on the CPU, on the same bytes.

What lies above the backend in PyTorch's dispatcher stays as it is for CUDA: autocast with its table and its cache,
autograd, composite operators. A kernel for the key CUDA sees the tensors only after all that.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from . import metadata, mixing, widening
from .memory import to_cpu, to_cuda

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch._ops import OpOverload


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One operator on the emulated device.

    Args:
        operator: what to run.
        written: its arguments that it writes to, by position and by name.
        returned: those that are its results; empty where results are new tensors.
        generator: where its random numbers come from, if it draws any and is given no generator.
    """

    operator: OpOverload
    written: tuple[tuple[int, str], ...]
    returned: tuple[tuple[int, str], ...]
    generator: torch.Generator | None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mixing.check(self.operator, args, kwargs)
        device = kwargs.get("device")
        stays = device is not None and torch.device(device).type != "cuda"
        cpu_args = [lowered(value) for value in args]
        cpu_kwargs = {name: lowered(value) for name, value in kwargs.items()}
        fresh = self._fresh_outputs(kwargs, cpu_kwargs)
        with below_autograd(), self._random_numbers(kwargs):
            result = widening.run(self.operator, cpu_args, cpu_kwargs, self.written)
        for name in fresh:
            metadata.fill(kwargs[name], cpu_kwargs[name])
        if self.returned:
            results = tuple(kwargs[name] if name in kwargs else args[position] for position, name in self.returned)
            return results[0] if len(results) == 1 else results
        return result if stays else raised(result)

    def _random_numbers(self, kwargs: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
        if self.generator is None or kwargs.get("generator") is not None:
            return contextlib.nullcontext()
        return _drawing_from(self.generator)

    def _fresh_outputs(self, kwargs: dict[str, Any], cpu_kwargs: dict[str, Any]) -> list[str]:
        # An operator may resize what is passed as `out`, and shared bytes cannot grow.
        names = [
            name for _, name in self.written if isinstance(kwargs.get(name), torch.Tensor) and kwargs[name].is_cuda
        ]
        for name in names:
            cpu_kwargs[name] = torch.empty(0, dtype=kwargs[name].dtype)
        return names


@contextlib.contextmanager
def _drawing_from(generator: torch.Generator) -> Iterator[None]:
    # Many operators take no generator and draw from the CPU's own, which a CUDA device leaves alone.
    own = torch.default_generator.get_state()
    torch.default_generator.set_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.default_generator.get_state())
        torch.default_generator.set_state(own)


def lowered(value: Any) -> Any:
    """Return an argument as the CPU's kernels take it."""
    if isinstance(value, torch.Tensor):
        return to_cpu(value) if value.is_cuda else value
    if isinstance(value, (list, tuple)):
        return type(value)(lowered(each) for each in value)
    if isinstance(value, torch.device) and value.type == "cuda":
        if (value.index or 0) > 0:
            raise RuntimeError(f"CUDA error: invalid device ordinal: {value}, but one device is emulated")
        return torch.device("cpu")
    return value


def raised(value: Any) -> Any:
    """Return a result of the CPU's kernels as one of the emulated device."""
    if isinstance(value, torch.Tensor):
        return value if value.is_cuda else to_cuda(value)
    return type(value)(raised(each) for each in value) if isinstance(value, (list, tuple)) else value


def below_autograd() -> torch._C._ExcludeDispatchKeyGuard:
    """Leave out autograd and autocast: they have had their turn when a kernel of a device runs."""
    return torch._C._ExcludeDispatchKeyGuard(_above())


@functools.cache
def _above() -> torch._C.DispatchKeySet:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradFunctionality)
    for key in ("AutogradCPU", "AutogradCUDA", "ADInplaceOrView", "AutocastCPU", "AutocastCUDA"):
        keys = keys | torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    return keys
