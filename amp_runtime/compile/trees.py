"""Inputs and outputs of any shape: their tensors by path, copies of them, and what of a sample goes where in a call."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

if TYPE_CHECKING:
    from collections.abc import Iterator

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Sample:
    """The arguments of one call of a model."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any, model: torch.nn.Module) -> Sample:
        """Read a sample input: a tuple holds positional arguments, a mapping of parameter names keywords.

        A mapping whose keys are no parameters of `forward`, and anything else, is the one argument of the call.
        """
        if isinstance(given, Sample):
            return given
        if isinstance(given, tuple) and not hasattr(given, "_fields"):
            return cls(given)
        if isinstance(given, Mapping) and given and _are_parameters(given, model):
            return cls((), dict(given))
        return cls((given,))

    def changed(self, change: Change) -> Sample:
        """Return the sample with every tensor replaced; tensors that stand in it twice still do."""
        args, kwargs = changed((self.args, dict(self.kwargs)), change)
        return Sample(args, kwargs)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return its tensors by path; one that stands in it twice is named once."""
        found: dict[str, torch.Tensor] = {}
        seen: set[int] = set()
        for path, leaf in leaves((self.args, dict(self.kwargs))):
            if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
                seen.add(id(leaf))
                found[path.removeprefix("[0]").removeprefix("[1]")] = leaf
        return found


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its path. Containers that torch's pytree knows are opened, and so are dataclasses."""
    for path, leaf in pytree.tree_flatten_with_path(tree)[0]:
        at = prefix + pytree.keystr(path)
        if _is_record(leaf):
            for part in dataclasses.fields(leaf):
                yield from leaves(getattr(leaf, part.name), f"{at}.{part.name}")
        else:
            yield at, leaf


def changed(tree: Any, change: Change) -> Any:
    """Return a copy of the tree with every tensor replaced."""
    known: dict[int, torch.Tensor] = {}

    def one(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            if id(leaf) not in known:
                known[id(leaf)] = change(leaf)
            return known[id(leaf)]
        return _record(leaf) if _is_record(leaf) else leaf

    def _record(record: Any) -> Any:
        copied = copy.copy(record)
        for part in dataclasses.fields(record):
            object.__setattr__(copied, part.name, pytree.tree_map(one, getattr(record, part.name)))
        return copied

    return pytree.tree_map(one, tree)


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _are_parameters(given: Mapping[Any, Any], model: torch.nn.Module) -> bool:
    names = inspect.signature(model.forward).parameters
    return all(isinstance(key, str) and key in names for key in given)
