"""Functions of `torch` itself that would ask for memory, random numbers or a compiler of CUDA."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def install(generator: torch.Generator) -> None:
    """Replace them for the rest of the process."""
    import torch

    class Generator(torch.Generator):
        """A generator of random numbers; one of the emulated device is the CPU's."""

        def __new__(cls, device: Any = "cpu") -> Generator:
            return super().__new__(cls, "cpu" if torch.device(device).type == "cuda" else device)

    pinned = torch.Tensor.pin_memory
    compile_ = torch.compile
    moved = torch.UntypedStorage.to

    @functools.wraps(moved)
    def to(self: torch.UntypedStorage, *, device: Any, non_blocking: bool = False) -> torch.UntypedStorage:
        if self.device.type == "cuda" or torch.device(device).type != "cuda":
            return moved(self, device=device, non_blocking=non_blocking)
        return torch.empty(0, dtype=torch.uint8).set_(self).to(device).untyped_storage()

    @functools.wraps(torch.UntypedStorage.cuda)
    def cuda(self: torch.UntypedStorage, device: Any = None, non_blocking: bool = False) -> torch.UntypedStorage:
        return to(self, device="cuda")

    @functools.wraps(pinned)
    def pin_memory(self: torch.Tensor, device: Any = None) -> torch.Tensor:
        return self

    @functools.wraps(compile_)
    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compiler.set_stance("force_eager")  # loads the compiler, so not before somebody asks for it
        return compile_(*args, **kwargs)

    copied = torch.UntypedStorage.clone

    @functools.wraps(copied)
    def clone(self: torch.UntypedStorage) -> torch.UntypedStorage:
        if self.device.type != "cuda":
            return copied(self)
        return torch.empty(0, dtype=torch.uint8, device="cuda").set_(self).clone().untyped_storage()

    @functools.wraps(torch.Tensor.record_stream)
    def record_stream(self: torch.Tensor, stream: Any) -> None:
        pass

    torch.Generator = Generator  # type: ignore[misc]
    torch.UntypedStorage.to, torch.UntypedStorage.cuda = to, cuda  # type: ignore[method-assign]
    torch.UntypedStorage.clone = clone  # type: ignore[method-assign]
    torch.Tensor.record_stream = record_stream  # type: ignore[method-assign]
    torch.Tensor.pin_memory = pin_memory  # type: ignore[method-assign]
    torch.compile = compile_eagerly  # type: ignore[assignment]
