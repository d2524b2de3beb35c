"""One path so far: values of names, known conditions, the protocol, open autocast contexts, and how it came here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from stages.logic.engine.plain import JOINED, both_plain
from stages.logic.engine.precision import rounded
from stages.logic.engine.protocol import Protocol
from stages.logic.engine.values import fresh, tells_apart

if TYPE_CHECKING:
    import ast
    from collections.abc import Hashable, Iterable, Sequence

    from stages._source.program.scopes import Scope
    from stages.logic.engine.conditions import Facts
    from stages.logic.engine.place import Place
    from stages.logic.engine.values import Autocast, Key, NullContext, Optimizer, Value


K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened on the path, for the reader of a finding; the path is a chain of them."""

    what: str
    place: Place
    before: Happened | None = None


def happened(trail: Happened | None) -> tuple[Happened, ...]:
    """Return what happened on a path, first things first."""
    steps: list[Happened] = []
    while trail is not None:
        steps.append(trail)
        trail = trail.before
    return tuple(reversed(steps))


@dataclass(frozen=True, slots=True)
class Active:
    """A context that the path is inside of.

    Args:
        place: the `with` item, or the decorated function.
        depth: how many loops are open around it, to tell whether a loop runs inside.
        calls: how many calls are open around it.
        backwards: the backward calls that ran in it so far with autocast on, each once; the forwards before them
            cached cast weights.
        stepped_at: an optimizer step in it after one of these, after which its cache of cast weights is stale.
        looped: what of both ran in a loop that is inside of it as well.
    """

    context: Autocast | NullContext
    place: Place
    depth: int = 0
    calls: int = 0
    backwards: tuple[Place, ...] = ()
    stepped_at: Place | None = None
    looped: frozenset[Literal["backward", "step"]] = frozenset()


@dataclass(frozen=True, slots=True)
class Round:
    """The turn of training that the last backward belongs to.

    Args:
        loops: the loops open around it, outermost first; once it has stepped, around both.
        stepped_at: the step through a scaler that ended it.
    """

    loops: tuple[ast.AST, ...]
    stepped_at: Place | None = None


class Store(dict[K, "Value"]):
    """Values by place. Those in which two paths differ for AMP are also kept apart, as they are compared often."""

    __slots__ = ("telling",)

    def __init__(self) -> None:
        super().__init__()
        self.telling: dict[K, Value] = {}

    def __setitem__(self, place: K, value: Value) -> None:
        super().__setitem__(place, value)
        if tells_apart(value):
            self.telling[place] = value
        else:
            self.telling.pop(place, None)

    def __delitem__(self, place: K) -> None:
        super().__delitem__(place)
        self.telling.pop(place, None)

    def copy(self) -> Store[K]:
        copied: Store[K] = Store.__new__(Store)  # many a statement copies it: `__init__` would make what is not kept
        copied.update(self)
        copied.telling = self.telling.copy()
        return copied


@dataclass(slots=True)
class State:
    """Copied where the path forks.

    Args:
        env: names, by the scope that owns them.
        heap: attributes and items, by the key of what they belong to.
        cast: the autocast context that was on and was left last, since the last optimizer step: of the forward whose
            backward comes next.
    """

    env: Store[tuple[Scope | None, str]] = field(default_factory=Store)
    heap: Store[tuple[Key, Hashable]] = field(default_factory=Store)
    facts: Facts = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    contexts: tuple[Active, ...] = ()
    cast: Active | None = None
    round: Round | None = None
    trail: Happened | None = None
    known: dict[Key, Optimizer] = field(default_factory=dict)  # the optimizers met on this path
    decisions: tuple[tuple[Place, bool], ...] = ()  # tests whose outcome was open, and how they went

    def copy(self) -> State:
        return State(
            env=self.env.copy(),
            heap=self.heap.copy(),
            facts=dict(self.facts),
            protocol=self.protocol,
            contexts=self.contexts,
            cast=self.cast,
            round=self.round,
            trail=self.trail,
            known=dict(self.known),
            decisions=self.decisions,
        )

    def signature(self) -> object:
        """Return what makes two paths differ for AMP: everything else is merged where paths meet."""
        return (
            self.protocol,
            self.contexts,
            self.cast and self.cast.context,
            frozenset(self.env.telling.items()),
            frozenset(self.heap.telling.items()),
        )


def merge(states: Iterable[State], at: ast.AST, most: int) -> list[State]:
    """Join paths that cannot be told apart by anything that matters.

    Args:
        at: where they meet.
        most: how many may remain; the rest is dropped, which can only lose findings.
    """
    given = list(states)
    if len(given) < 2:
        return given
    groups: dict[object, list[State]] = {}
    for state in given:
        groups.setdefault(state.signature(), []).append(state)
    return [_join(group, at) for group in groups.values()][:most]


def _join(group: Sequence[State], at: ast.AST) -> State:
    first = group[0]
    if len(group) == 1:
        return first
    joined = first.copy()
    for state in group[1:]:
        joined.facts = {key: value for key, value in joined.facts.items() if state.facts.get(key) is value}
        _widen(joined.env, state.env, at)
        _widen(joined.heap, state.heap, at)
        joined.known |= state.known
        joined.round = joined.round if joined.round == state.round else None
        joined.decisions = tuple(item for item in joined.decisions if item in state.decisions)
    return joined


def _widen(joined: Store[K], other: Store[K], at: ast.AST) -> None:
    """Keep what both have in common; what differs is some value, not known which."""
    differing = [] if joined.keys() <= other.keys() else [place for place in joined if place not in other]
    others = [place for place, theirs in other.items() if joined.get(place) is not theirs]
    differing += [place for place in others if joined.get(place) != other[place]]
    for place in differing:
        one, two = joined.get(place), other.get(place)
        kind = JOINED if both_plain(one, two) else "joined"
        same = rounded(one, two)
        joined[place] = same if same is not None else fresh(kind, at, place)
