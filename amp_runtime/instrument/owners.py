"""Finds the modules that hold what is trained. Nobody tells us of them, so the heap is searched once in a while."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run import Run


class Owners:
    """The outermost modules of which an optimizer steps a parameter."""

    def __init__(self) -> None:
        self._optimizers = 0
        self._roots: list[weakref.ref[Any]] = []

    def roots(self, run: Run) -> list[Any]:
        """Return them; the search is repeated only when optimizers have come."""
        if len(run.optimizers) != self._optimizers:
            self._optimizers = len(run.optimizers)
            self._roots = [weakref.ref(module) for module in _search(run)]
        return [module for found in self._roots if (module := found()) is not None]

    def modules(self, run: Run) -> Iterator[tuple[str, Any]]:
        """Yield every module of theirs, by its name in the root."""
        for root in self.roots(run):
            yield from root.named_modules()


def _search(run: Run) -> list[Any]:
    trained = {
        id(parameter)
        for found in run.optimizers.values()
        if (optimizer := found()) is not None
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    modules = [one for one in gc.get_objects() if issubclass(type(one), torch.nn.Module) and "_modules" in vars(one)]
    children = {id(child) for module in modules for child in module._modules.values() if child is not None}
    roots = [module for module in modules if id(module) not in children]
    return [root for root in roots if any(id(parameter) in trained for parameter in root.parameters())]
