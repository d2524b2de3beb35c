"""One way through a statement: what it evaluates to, and which way was taken where the path forks inside of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from stages.logic.engine.conditions import assume, truth
from stages.logic.engine.place import Place
from stages.logic.engine.state import Happened
from stages.logic.engine.values import (
    NONE,
    Autocast,
    Callee,
    ClassValue,
    Const,
    Dotted,
    Framework,
    Instance,
    Items,
    Model,
    NullContext,
    Optimizer,
    Scaler,
    Scheduler,
    Tensor,
    Unknown,
    Value,
    key_of,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key

T = TypeVar("T")
_OBJECTS = (Callee, ClassValue, Dotted, Framework, Instance, Model, NullContext, Optimizer, Scaler, Scheduler, Autocast)


class PathEnds(Exception):  # noqa: N818 - nothing went wrong
    """The path does not go on: the code raises, or the condition cannot be."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the program is.

    Args:
        calls: the functions entered, outermost first.
        loops: the loops open in this function.
        outer: the loops open around the calls, outermost first.
        through: the calls by which they were entered.
        quiet: only values are wanted: no rule hears of what happens.
    """

    scope: Scope
    module: Module
    calls: tuple[Scope, ...] = ()
    loops: tuple[ast.AST, ...] = ()
    outer: tuple[ast.AST, ...] = ()
    quiet: bool = False
    through: tuple[Place, ...] = ()

    def place(self, node: ast.AST) -> Place:
        return Place(self.module, node)

    @property
    def open_loops(self) -> tuple[ast.AST, ...]:
        """Return every loop that is open here, those of callers included."""
        return (*self.outer, *self.loops)


@dataclass(slots=True)
class Choices:
    """The forks met in one statement, so that it can be evaluated once for every way through them."""

    taken: list[int] = field(default_factory=list)
    options: list[Sequence[object]] = field(default_factory=list)

    def advance(self) -> bool:
        """Move to the next way through; False if there is none."""
        while self.taken:
            if self.taken[-1] + 1 < len(self.options[len(self.taken) - 1]):
                self.taken[-1] += 1
                del self.options[len(self.taken) :]
                return True
            self.taken.pop()
        return False


@dataclass(slots=True)
class Attempt:
    """The state while one statement is evaluated once."""

    state: State
    frame: Frame
    choices: Choices
    raised: list[State]
    met: int = 0

    def choose(self, make: Callable[[], Sequence[T]]) -> T:
        """Fork the path: every option is taken in some attempt.

        Raises:
            PathEnds: there is no option.
        """
        position = self.met
        self.met += 1
        if position == len(self.choices.options):
            self.choices.options.append(make())
        options = self.choices.options[position]
        if not options:
            raise PathEnds
        if position == len(self.choices.taken):
            self.choices.taken.append(0)
        return options[self.choices.taken[position]]  # type: ignore[return-value]

    def note(self, what: str, node: ast.AST) -> None:
        """Remember that something happened, for the reader of a finding."""
        self.state.trail = Happened(what, self.frame.place(node), self.state.trail)

    def decide(self, value: Value, node: ast.AST, *, of_itself: bool = False) -> bool:
        """Say whether a value is true on this path; fork where it may be either.

        Args:
            of_itself: the test asks whether the object is there at all, which is no flag that may say something else.
        """
        known = self.truth(value)
        if known is not None:
            return known
        key = key_of(value)
        taken = self.choose(lambda: (True, False))
        facts = assume(key, taken, self.state.facts)
        if facts is None:
            raise PathEnds
        self.state.facts = facts
        if of_itself:
            return taken
        self.state.decisions = (*self.state.decisions, (self.frame.place(node), taken))[-12:]
        return taken

    def truth(self, value: Value) -> bool | None:
        if isinstance(value, _OBJECTS):
            return True
        if isinstance(value, Const):
            return bool(value.value)
        if isinstance(value, Items):
            return bool(value.values)
        return truth(key_of(value), self.state.facts)

    def is_none(self, value: Value, node: ast.AST, *, rebind: Callable[[Value], None] | None = None) -> bool:
        """Decide `value is None`. An object that was recognised by its name alone may be None after all."""
        if isinstance(value, Const):
            return value.value is None
        if isinstance(value, Scaler | Optimizer) and value.assumed:
            none = self.decide(Unknown(("is-none", value.key)), node, of_itself=True)
            if none and rebind is not None:
                rebind(NONE)
            return none
        if isinstance(value, (*_OBJECTS, Items, Tensor)):
            return False
        return self.decide(Unknown(("is-none", key_of(value))), node, of_itself=True)


def condition(kind: str, *parts: Key) -> Unknown:
    """Return a value made of others, which is the same wherever they are the same."""
    return Unknown((kind, *parts))
