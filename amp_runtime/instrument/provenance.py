"""Which scale nodes lie on the way from a backward root to each parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .gradients import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gradients import Gradient, Gradients

_NEAR = 8
_LIMIT = 200_000  # nodes of one graph that are walked; beyond, what was not reached is unknown


@dataclass(slots=True)
class Provenance:
    """How the leaves below the roots of one backward are reached.

    Args:
        leaves: leaf (by id) -> its gradient, and for every way to it the scalers it crosses, as sorted tuples of
            their ids: `()` is a way without a scale.
        complete: the whole graph was walked.
        compiled: a part of it was made by torch.compile.
        twice: where what was scaled already was scaled once more.
    """

    leaves: dict[int, tuple[Gradient, frozenset[tuple[int, ...]]]] = field(default_factory=dict)
    complete: bool = True
    ways: frozenset[tuple[int, ...]] = frozenset()  # every kind of way there is
    compiled: bool = False
    twice: tuple[str, int] | None = None
    _groups: list[tuple[frozenset[tuple[int, ...]], Group]] | None = None

    def groups(self, owner: Gradients) -> list[tuple[frozenset[tuple[int, ...]], Group]]:
        """Return the leaves by the ways to them, all that are reached in the same ways together."""
        if self._groups is None:
            groups: dict[frozenset[tuple[int, ...]], Group] = {}
            for gradient, ways in self.leaves.values():
                groups.setdefault(ways, Group(owner)).append(gradient)
            self._groups = list(groups.items())
        return self._groups


class ScaleNodes:
    """Remembers the autograd nodes that `scaler.scale` has made.

    A node is known by its type, its sequence number and its thread's: Python objects of nodes come and go, and holding
    them would hold the graph.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[type, int], tuple[int, tuple[str, int]]] = {}

    def add(self, result: Any, scaler: int, place: tuple[str, int]) -> None:
        node = result.grad_fn
        if node is not None:
            self._nodes[type(node), node._sequence_nr()] = scaler, place

    def clear(self) -> None:
        self._nodes.clear()

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def _of(self, node: Any, kinds: frozenset[type]) -> tuple[int, tuple[str, int]] | None:
        kind = type(node)
        return self._nodes.get((kind, node._sequence_nr())) if kind in kinds else None

    def walk(self, roots: Iterable[Any], gradient_of: Callable[[Any], Gradient]) -> Provenance:
        """Walk the graphs of the roots down to their leaves.

        A node is entered once for each kind of way that leads to it, so the walk is linear in the graph for every
        program that scales its loss at one or two places.
        """
        kinds = frozenset(kind for kind, _number in self._nodes)
        leaves: dict[int, tuple[Any, set[tuple[int, ...]]]] = {}
        todo: list[tuple[Any, tuple[int, ...]]] = []
        for root in roots:
            if root.grad_fn is not None:
                todo.append((root.grad_fn, ()))
            elif root.requires_grad:
                leaves.setdefault(id(root), (root, set()))[1].add(())
        seen = set(todo)
        steps = 0
        outermost = twice = None
        while todo and steps < _LIMIT:
            steps += 1
            node, way = todo.pop()
            if kinds and (scale := self._of(node, kinds)):
                twice = outermost if way else twice
                outermost = scale[1]
                way = tuple(sorted((*way, scale[0])))
            following = node.next_functions
            if not following:
                variable = getattr(node, "variable", None)
                if variable is not None:
                    leaves.setdefault(id(variable), (variable, set()))[1].add(way)
                continue
            for after, _index in following:
                if after is not None and (after, way) not in seen:
                    seen.add((after, way))
                    todo.append((after, way))
        compiled = any(type(node).__name__ == "CompiledFunctionBackward" for node, _way in seen)
        found = {key: (gradient_of(leaf), frozenset(ways)) for key, (leaf, ways) in leaves.items()}
        ways = frozenset(way for _leaf, kinds_of_way in found.values() for way in kinds_of_way)
        return Provenance(leaves=found, complete=not todo, ways=ways, compiled=compiled, twice=twice)

    def near(self, root: Any) -> tuple[int, ...]:
        """Return the way from a root as far as it does not branch, which is where programs scale.

        Cheap: most losses are what `scale` has returned, perhaps divided by the number of micro-batches.
        """
        kinds = frozenset(kind for kind, _number in self._nodes)
        way: tuple[int, ...] = ()
        node = root.grad_fn
        for _ in range(_NEAR):
            if node is None:
                break
            if scale := self._of(node, kinds):
                way = (*way, scale[0])
            following = [after for after, _index in node.next_functions if after is not None]
            if len(following) != 1:
                break
            node = following[0]
        return way
