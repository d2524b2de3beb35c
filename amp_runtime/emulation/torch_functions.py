"""Functions of `torch` itself that would ask for memory, random numbers or a compiler of CUDA."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


def install() -> None:
    """Replace them for the rest of the process."""
    replacements: tuple[tuple[Any, str, Callable[[Any], Callable[..., Any]]], ...] = (
        (torch.UntypedStorage, "to", _storage_to),
        (torch.UntypedStorage, "cuda", _storage_cuda),
        (torch.UntypedStorage, "clone", _storage_clone),
        (torch.Tensor, "pin_memory", lambda original: lambda self, device=None: self),
        (torch.Tensor, "record_stream", lambda original: lambda self, stream: None),
        (torch, "compile", _compile),
        (torch.autograd.profiler.profile, "__init__", _profile),
    )
    for owner, name, make in replacements:
        original = getattr(owner, name)
        setattr(owner, name, functools.wraps(original)(make(original)))
    vars(torch)["Generator"] = _generator_class()
    torch._C._jit_override_can_fuse_on_gpu(False)  # TorchScript would compile for a GPU


def _bytes_of(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _storage_to(original: Callable[..., Any]) -> Callable[..., Any]:
    # PyTorch allocates storages in C++, past the kernels that could be replaced.
    def to(self: torch.UntypedStorage, *, device: Any, non_blocking: bool = False) -> Any:
        if self.device.type == "cuda" or torch.device(device).type != "cuda":
            return original(self, device=device, non_blocking=non_blocking)
        return _bytes_of(self).to(device).untyped_storage()

    return to


def _storage_cuda(original: Callable[..., Any]) -> Callable[..., Any]:
    def cuda(self: torch.UntypedStorage, device: Any = None, non_blocking: bool = False) -> Any:
        return self.to(device="cuda")

    return cuda


def _storage_clone(original: Callable[..., Any]) -> Callable[..., Any]:
    def clone(self: torch.UntypedStorage) -> Any:
        return _bytes_of(self).clone().untyped_storage() if self.device.type == "cuda" else original(self)

    return clone


def _compile(original: Callable[..., Any]) -> Callable[..., Any]:
    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compiler.set_stance("force_eager")  # loads the compiler, so not before somebody asks for it
        return original(*args, **kwargs)

    return compile_eagerly


def _profile(original: Callable[..., Any]) -> Callable[..., Any]:
    # A build without CUDA complains of every operator when it is asked for CUDA's events.
    def profile_the_cpu(self: Any, *args: Any, use_device: str | None = None, **kwargs: Any) -> None:
        original(self, *args, use_device=None if use_device == "cuda" else use_device, **kwargs)

    return profile_the_cpu


def _generator_class() -> type[torch.Generator]:
    class Generator(torch.Generator):
        """A generator of random numbers; one of the emulated device is the CPU's."""

        def __new__(cls, device: Any = "cpu") -> Generator:
            place = "cpu" if torch.device(device).type == "cuda" else device
            return super().__new__(cls, place)  # type: ignore[call-arg]

    return Generator
