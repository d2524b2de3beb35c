"""One path so far: values of names, known conditions, the protocol, open autocast contexts, and how it came here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.logic.engine.protocol import Protocol
from stages.logic.engine.values import fresh, matters

if TYPE_CHECKING:
    import ast
    from collections.abc import Hashable, Iterable, Sequence

    from stages._source.program.scopes import Scope
    from stages.logic.engine.conditions import Facts
    from stages.logic.engine.place import Place
    from stages.logic.engine.values import Autocast, Key, NullContext, Optimizer, Value


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened on the path, for the reader of a finding; the path is a chain of them."""

    what: str
    place: Place
    before: Happened | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """A context that the path is inside of.

    Args:
        place: the `with` item, or the decorated function.
        depth: how many loops are open around it, to tell whether a loop runs inside.
        stepped_at: an optimizer step in it, after which its cache of cast weights is stale.
        function: the depth of calls at which it was entered.
    """

    context: Autocast | NullContext
    place: Place
    depth: int = 0
    calls: int = 0
    stepped_at: Place | None = None
    ran: bool = False  # a backward ran inside, so weights were cast and cached


@dataclass(slots=True)
class State:
    """Copied where the path forks."""

    env: dict[tuple[Scope | None, str], Value] = field(default_factory=dict)
    heap: dict[tuple[Key, Hashable], Value] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    contexts: tuple[Active, ...] = ()
    trail: Happened | None = None
    known: dict[Key, Optimizer] = field(default_factory=dict)  # the optimizers met on this path
    decisions: tuple[tuple[Place, bool], ...] = ()  # tests whose outcome was open, and how they went

    def copy(self) -> State:
        return State(
            env=dict(self.env),
            heap=dict(self.heap),
            facts=dict(self.facts),
            protocol=self.protocol,
            contexts=self.contexts,
            trail=self.trail,
            known=dict(self.known),
            decisions=self.decisions,
        )

    def signature(self) -> object:
        """Return what makes two paths differ for AMP: everything else is merged where paths meet."""
        return (
            self.protocol,
            self.contexts,
            frozenset((name, value) for name, value in self.env.items() if matters(value)),
            frozenset((place, value) for place, value in self.heap.items() if matters(value)),
        )


def merge(states: Iterable[State], at: ast.AST, most: int) -> list[State]:
    """Join paths that cannot be told apart by anything that matters.

    Args:
        at: where they meet.
        most: how many may remain; the rest is dropped, which can only lose findings.
    """
    groups: dict[object, list[State]] = {}
    for state in states:
        groups.setdefault(state.signature(), []).append(state)
    return [_join(group, at) for group in groups.values()][:most]


def _join(group: Sequence[State], at: ast.AST) -> State:
    first = group[0]
    if len(group) == 1:
        return first
    joined = first.copy()
    for state in group[1:]:
        joined.facts = {key: value for key, value in joined.facts.items() if state.facts.get(key) is value}
        for name in joined.env.keys() | state.env.keys():
            if joined.env.get(name) != state.env.get(name):
                joined.env[name] = fresh("joined", at, name)
        for place in joined.heap.keys() | state.heap.keys():
            if joined.heap.get(place) != state.heap.get(place):
                joined.heap[place] = fresh("joined", at, place)
        joined.known |= state.known
        joined.decisions = tuple(item for item in joined.decisions if item in state.decisions)
    return joined
