"""Decides which imports of a cycle to make lazy: the smallest set that works when it is simulated."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from stages._source.walking import children
from stages.syntax.imports.called import called_on_import
from stages.syntax.imports.cycles import Simulations, ring_of
from stages.syntax.imports.graph import adjacency, components
from stages.syntax.imports.movable import FixedImport, LazyImport, Movables, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stages.syntax.imports.cycles import Cycle, Project, Stage
    from stages.syntax.imports.graph import Edge
    from stages.syntax.imports.simulated import Failed

Outcome = Literal["found", "nothing can move", "nothing works", "budget", "too large"]

_EAGER = frozenset({"eager"})
_SIMULATED = frozenset({"eager", "access"})
_MOST_MODULES = 40
_MOST_ENTRIES = 60
_SIMULATIONS = 200  # of one entry each, for one cycle
_SIMULATIONS_IN_ALL = 1_000
_POOLS = (200, 40, 15)  # candidates considered for sets of one, two and three


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What was searched and found.

    Args:
        make_lazy: the smallest set that works; empty where none was found.
        entries: how many modules were simulated as the first import with it.
        fixed: imports of the cycle that cannot be made lazy, with reasons.
        candidates: how many could be.
    """

    outcome: Outcome
    make_lazy: tuple[LazyImport, ...] = ()
    entries: int = 0
    fixed: tuple[FixedImport, ...] = ()
    candidates: int = 0


class Laziness:
    """Searches proposals for the cycles of one project, within one budget."""

    def __init__(self, project: Project, stage: Stage, cycles: Sequence[Cycle]) -> None:
        self._project = project
        self._stage = stage
        self._movables = Movables(project, stage.edges)
        self._tied = {path: members for members in components(stage.eager) for path in members}
        self._keys = {frozenset(cycle.members) for cycle in cycles if cycle.kind == "failing"}
        self._left = _SIMULATIONS_IN_ALL

    def with_proposal(self, cycle: Cycle) -> Cycle:
        """Return a cycle with what to make lazy; a lazy one is returned as it is."""
        return cycle if cycle.kind == "lazy" else replace(cycle, proposal=self._propose(cycle))

    def _propose(self, cycle: Cycle) -> Proposal:
        tied = self._tied.get(cycle.members[0], cycle.members)
        if len(tied) > _MOST_MODULES:
            return Proposal(outcome="too large")
        candidates, fixed = self._candidates(cycle, tied)
        if not candidates:
            return Proposal(outcome="nothing can move", fixed=fixed)
        trial = _Trial(self._project, self._stage, cycle, tied, self._keys - {frozenset(cycle.members)})
        budget = trial.left = min(_SIMULATIONS, self._left)
        chosen = next((moved for moved in trial.sets(candidates) if trial.works(moved)), None)
        self._left -= budget - max(trial.left, 0)
        if chosen is not None:
            found = tuple(sorted(chosen, key=lambda item: (item.path, item.line)))
            entries = len(trial.entries)
            return Proposal(outcome="found", make_lazy=found, entries=entries, fixed=fixed, candidates=len(candidates))
        outcome: Outcome = "budget" if trial.left <= 0 else "nothing works"
        return Proposal(outcome=outcome, fixed=fixed, candidates=len(candidates))

    def _candidates(self, cycle: Cycle, tied: Sequence[str]) -> tuple[list[LazyImport], tuple[FixedImport, ...]]:
        """Return what can and what cannot be made lazy among the imports that tie modules; the cycle's own first."""
        inside = set(tied)
        own = set(cycle.members)
        places: dict[tuple[str, int], bool] = {}
        for edge in self._stage.edges:
            if edge.kind in _SIMULATED and edge.source in inside and edge.target in inside:
                place = (edge.source, edge.line)
                places[place] = places.get(place, False) or (edge.source in own and edge.target in own)
        trees = [tree for path in tied if (tree := self._project.tree(path)) is not None]
        called = called_on_import(trees) | {name for tree in trees for name in _handed_over(tree)}
        candidates, fixed = [], []
        for place in sorted(places, key=lambda place: (not places[place], place)):
            judged = self._movables.judge(*place, called)
            if isinstance(judged, LazyImport):
                candidates.append(judged)
            elif judged is not None and places[place]:
                fixed.append(judged)
        return candidates, tuple(fixed)


class _Trial:
    """Simulates one cycle's modules with some imports made lazy. `left` counts simulations down."""

    def __init__(
        self, project: Project, stage: Stage, cycle: Cycle, tied: Sequence[str], others: set[frozenset[str]]
    ) -> None:
        self._project = project
        self._stage = stage
        self._cycle = cycle
        self._others = others
        inside = set(tied)
        self._inside = [edge for edge in stage.edges if edge.source in inside and edge.target in inside]
        victims = [path for path, _ in cycle.failures]
        order = sorted(victims, key=lambda path: path not in cycle.members)
        # every other module works where those of the cycle do: it reaches them with none of them half loaded
        self.entries = list(dict.fromkeys([*order[: _MOST_ENTRIES - len(tied)], *tied]))
        self.left = 0

    def sets(self, candidates: Sequence[LazyImport]) -> Iterator[tuple[LazyImport, ...]]:
        """Yield sets by size; among equals those that remove the cycle itself come first, then by place."""
        for size, most in enumerate(_POOLS, start=1):
            pool = candidates[:most]
            ordered = sorted(
                combinations(pool, size),
                key=lambda moved: (self._remains(moved), sorted((item.path, item.line) for item in moved)),
            )
            yield from ordered

    def works(self, moved: Sequence[LazyImport]) -> bool:
        """Say whether no entry fails because of the cycle any more; a fragile one must be gone altogether."""
        if self.left <= 0 or (self._cycle.kind == "fragile" and self._remains(moved)):
            return False
        trees = {}
        for path in {item.path for item in moved}:
            tree = self._project.tree(path)
            if tree is None:
                return False
            trees[path] = without(tree, [item for item in moved if item.path == path])
        runs = Simulations(self._project, self._stage.world.changed(trees))
        for entry in list(self.entries):
            if self.left <= 0:
                return False
            self.left -= 1
            failed = runs.enter(entry)
            if failed is not None and failed.ring and not self._is_of_another(failed, moved):
                self.entries.remove(entry)
                self.entries.insert(0, entry)  # what fails once is likely to fail again: try it first
                return False
        return True

    def _remains(self, moved: Sequence[LazyImport]) -> bool:
        """Say whether modules of the cycle are still tied together by imports that run while they load."""
        own = set(self._cycle.members)
        edges = (edge for edge in self._without(moved) if edge.source in own and edge.target in own)
        return any(len(members) > 1 or len(own) == 1 for members in components(adjacency(edges, _EAGER)))

    def _is_of_another(self, failed: Failed, moved: Sequence[LazyImport]) -> bool:
        """Say whether another cycle, which has its own finding, is to blame."""
        ring = ring_of(adjacency(self._without(moved), _SIMULATED), failed)
        return frozenset(ring) in self._others

    def _without(self, moved: Sequence[LazyImport]) -> Iterable[Edge]:
        gone = {(item.path, item.line) for item in moved}
        return [edge for edge in self._inside if (edge.source, edge.line) not in gone]


def _handed_over(tree: ast.Module) -> Iterator[str]:
    """Yield names that code at module level passes to a call, which may call them."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            for item in given:
                name = item.attr if isinstance(item, ast.Attribute) else getattr(item, "id", "")
                if name:
                    yield name
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(children(node))
