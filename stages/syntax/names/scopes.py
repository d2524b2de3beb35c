"""Decides how names, scopes and their meetings are written down: what binds, what reads, and where."""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass, field
from typing import Literal

ScopeKind = Literal["module", "class", "function", "lambda", "comprehension", "types"]


class How(enum.Enum):
    """How a name came to be bound, in words that follow "bound by"."""

    IMPORT = "the import"
    FUNCTION = "the definition of the function"
    CLASS = "the definition of the class"
    ASSIGNMENT = "the assignment"
    LOOP = "the loop"
    WITH = "the with statement"
    EXCEPTION = "the except clause"
    MATCH = "the match pattern"
    WALRUS = "the := expression"
    PARAMETER = "the parameter"
    TYPE_PARAMETER = "the type parameter"
    DECLARED = "the bare annotation"  # `x: int` without a value binds nothing
    DELETED = "the del statement"  # makes a name local without binding it


class When(enum.Enum):
    """When a name that is read is looked up."""

    RUN = "run"
    TEXT = "text"  # an annotation that is a string
    POSTPONED = "postponed"  # an annotation that Python keeps but does not evaluate here
    TYPES_ONLY = "types"  # code that only a type checker sees


@dataclass(slots=True)
class Binding:
    """One place that binds a name. `types_only`: below `if TYPE_CHECKING`, or in code that never runs."""

    name: str
    how: How
    line: int
    column: int  # in bytes, from 0, as `ast` counts
    scope: Scope
    types_only: bool = False
    compiled: bool = True  # False where the compiler leaves the code out
    module: str = ""  # what an import names, to be shown in advice


@dataclass(slots=True)
class Use:
    """One place that reads a name."""

    name: str
    line: int
    column: int
    scope: Scope
    when: When
    versioned: bool = False  # below a test of the Python version
    caught: bool = False  # inside a try that catches every exception


@dataclass(slots=True, eq=False)
class Scope:
    """A namespace of the source text. `bindings` of names declared global or nonlocal stand in their owner's scope."""

    kind: ScopeKind
    name: str
    line: int
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)  # names that other scopes bind here (global, nonlocal)

    @property
    def is_function(self) -> bool:
        return self.kind in ("function", "lambda", "comprehension", "types")

    def ancestors(self) -> list[Scope]:
        """Return the scopes around this one, the nearest first."""
        found = []
        scope = self.parent
        while scope is not None:
            found.append(scope)
            scope = scope.parent
        return found

    @property
    def module(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(slots=True)
class Names:
    """Everything a file says about names.

    Args:
        scope_of: the scope of each function, class, lambda and comprehension, by node.
        use_of: the use that each `ast.Name` that is read stands for, by node; unlisted ones never run.
        stars: lines of star imports outside type-only code.
        never_return: functions of this file that cannot return.
        whole: no function was left out.
    """

    module: Scope
    scopes: list[Scope]
    uses: list[Use] = field(default_factory=list)
    scope_of: dict[ast.AST, Scope] = field(default_factory=dict)
    use_of: dict[ast.Name, Use] = field(default_factory=dict)
    stars: list[int] = field(default_factory=list)
    never_return: set[str] = field(default_factory=set)
    whole: bool = True


def mangled(name: str, class_name: str | None) -> str:
    """Return a private name as the class around it makes Python see it."""
    if class_name is None or not name.startswith("__") or name.endswith("__") or "." in name:
        return name
    stripped = class_name.lstrip("_")
    return f"_{stripped}{name}" if stripped else name
