"""The model's buffers as they were before a forward pass, for a step that is then skipped."""

from __future__ import annotations

import torch


class BufferSnapshot:
    """Copies of all buffers of a model, floats and counters, kept in the same memory from step to step."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._copies: dict[tuple[torch.nn.Module, str], torch.Tensor] = {}

    @torch.no_grad()
    def take(self) -> None:
        """Remember every buffer's value."""
        current = {
            (module, name): buffer
            for module in self._model.modules()
            for name, buffer in module.named_buffers(recurse=False)
        }
        if not _same_form(self._copies, current):
            self._copies = {place: torch.empty_like(buffer) for place, buffer in current.items()}
        for copy, buffer in zip(self._copies.values(), current.values(), strict=True):
            copy.copy_(buffer)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the values back, in place where the buffer still has its form."""
        for (module, name), copy in self._copies.items():
            buffer = getattr(module, name)
            if isinstance(buffer, torch.Tensor) and (buffer.shape, buffer.dtype) == (copy.shape, copy.dtype):
                buffer.copy_(copy)
            else:
                setattr(module, name, copy.clone())


def _same_form(
    copies: dict[tuple[torch.nn.Module, str], torch.Tensor], current: dict[tuple[torch.nn.Module, str], torch.Tensor]
) -> bool:
    return copies.keys() == current.keys() and all(
        (copy.shape, copy.dtype, copy.device) == (buffer.shape, buffer.dtype, buffer.device)
        for copy, buffer in zip(copies.values(), current.values(), strict=True)
    )
