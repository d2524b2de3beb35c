"""Figures that are still on the device, read many at a time so that it is not waited for at each operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_BATCH = 512  # requests between two readings

Then = Callable[[list[float]], None]


class Readings:
    """Requests for the values of 0-dim tensors, answered in the order in which they were made."""

    def __init__(self) -> None:
        self._asked: list[tuple[Sequence[torch.Tensor], Then]] = []
        self.waits = 0

    def ask(self, tensors: Sequence[torch.Tensor], then: Then) -> None:
        """Have `then` called with the values, sooner or later. The tensors must be 0-dim and nobody may change them."""
        self._asked.append((tensors, then))

    @property
    def due(self) -> bool:
        return len(self._asked) >= _BATCH

    def read(self) -> None:
        """Answer everything that has been asked. Waits for the device once per type of number."""
        asked, self._asked = self._asked, []
        groups: dict[tuple[torch.dtype, torch.device], list[torch.Tensor]] = {}
        places: dict[int, tuple[tuple[torch.dtype, torch.device], int]] = {}
        for tensors, _ in asked:
            for tensor in tensors:
                if id(tensor) not in places:
                    kind = (tensor.dtype, tensor.device)
                    group = groups.setdefault(kind, [])
                    places[id(tensor)] = (kind, len(group))
                    group.append(tensor)
        values: dict[tuple[torch.dtype, torch.device], list[float]] = {}
        for kind, group in groups.items():
            values[kind] = torch.stack(group).tolist()
            self.waits += 1
        for tensors, then in asked:
            then([float(values[kind][number]) for kind, number in (places[id(tensor)] for tensor in tensors)])
