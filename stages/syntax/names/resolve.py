"""Decides which names nothing binds where they are read, and where the text does bind them instead."""

from __future__ import annotations

import builtins
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.bytecode import CLASS_NAMES
from stages.syntax.names.scopes import How, Scope, When

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.syntax.names.namespace import Namespace
    from stages.syntax.names.scopes import Binding, Names, Use

_FROM_SITE = ("exit", "quit", "copyright", "credits", "license", "help")
_ELSEWHERE = ("reveal_type", "reveal_locals", "WindowsError", "__debug__", "__builtins__")  # checkers, Windows
BUILTINS = frozenset([*dir(builtins), *_FROM_SITE, *_ELSEWHERE])
MODULE_NAMES = frozenset(
    {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__", "__builtins__"}
    | {"__annotations__", "__warningregistry__"}
)
_OLD_TYPES = ("unicode", "basestring", "long", "file", "buffer", "StandardError")
_OLD_CALLS = ("xrange", "unichr", "raw_input", "reduce", "cmp", "execfile", "reload", "apply", "coerce", "intern")
PYTHON_2 = frozenset((*_OLD_TYPES, *_OLD_CALLS))


class Cause(enum.Enum):
    """Why a name cannot be found."""

    NOWHERE = "bound nowhere"
    ELSEWHERE = "bound only in another function or class"
    TYPES_ONLY = "bound for type checkers only"
    DECLARED = "declared, never given a value"


@dataclass(slots=True)
class Missing:
    """A name of one file that its readers cannot find, with every place that reads it."""

    name: str
    cause: Cause
    uses: list[Use] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)


def missing_names(
    names: Names, namespace: Namespace, *, package_init: bool, submodules: frozenset[str] = frozenset()
) -> list[Missing]:
    """Return every name that is looked up and not found, star imports aside.

    Args:
        submodules: those that a package's own file imports, each of which thereby becomes one of its names.
    """
    implicit = BUILTINS | MODULE_NAMES | namespace.added | namespace.injected | namespace.probed
    if package_init:
        implicit |= {"__path__"} | submodules
    found: dict[tuple[str, Cause], Missing] = {}
    for use in names.uses:
        cause = _cause(use, implicit)
        if cause is None or (use.versioned and use.name in PYTHON_2):
            continue
        entry = found.setdefault((use.name, cause), Missing(use.name, cause))
        entry.uses.append(use)
    missing = [_placed(entry, names) for entry in found.values()]
    return sorted(missing, key=lambda entry: (entry.uses[0].line, entry.uses[0].column, entry.name))


def owners(scope: Scope, name: str) -> Iterator[Scope]:
    """Yield the scopes of the text in which a read of `name` in `scope` is looked up, in order; builtins come last."""
    if name in scope.globals:
        yield scope.module
        return
    if name in scope.bindings and name not in scope.nonlocals:
        yield scope
    for outer in scope.ancestors():
        if outer.kind == "class":
            continue
        if name in outer.globals:
            if name in outer.module.bindings:
                yield outer.module
            return
        if name in outer.bindings and name not in outer.nonlocals:
            yield outer


def _cause(use: Use, implicit: set[str] | frozenset[str]) -> Cause | None:
    if use.name == "__class__" and use.scope.is_function and any(s.kind == "class" for s in use.scope.ancestors()):
        return None
    if use.name in CLASS_NAMES and _class_of(use.scope) is not None:
        return None
    declared = False
    for owner in owners(use.scope, use.name):
        bindings = owner.bindings.get(use.name, [])
        real = [b for b in bindings if b.how not in (How.DECLARED, How.DELETED)]
        if real:
            if use.when is When.RUN and all(b.types_only for b in real) and use.name not in implicit:
                return Cause.TYPES_ONLY
            return None
        here = any(b.how is How.DECLARED for b in bindings)
        declared |= here
        if here and owner is not use.scope and _runs_later(use.scope):
            return None  # somebody outside this file may set a module variable that is declared here
        if owner.is_function and bindings:
            break
    if use.name in implicit:
        return None
    if declared:
        return Cause.DECLARED if use.when is When.RUN else None
    return Cause.NOWHERE


def _class_of(scope: Scope) -> Scope | None:
    while scope.kind == "types" and scope.parent is not None:
        scope = scope.parent
    return scope if scope.kind == "class" else None


def _runs_later(scope: Scope) -> bool:
    return any(s.kind in ("function", "lambda") for s in (scope, *scope.ancestors()))


def _placed(entry: Missing, names: Names) -> Missing:
    """Add the bindings that exist elsewhere: the useful ones first, those nearest to the use first."""
    if entry.cause in (Cause.TYPES_ONLY, Cause.DECLARED):
        wanted = [b for scope in names.scopes for b in scope.bindings.get(entry.name, ()) if b.how is not How.DELETED]
        entry.bindings = sorted(wanted, key=lambda b: (b.line, b.column))
        return entry
    elsewhere = [
        binding
        for scope in names.scopes
        if scope.kind != "module"
        for binding in scope.bindings.get(entry.name, ())
        if binding.how not in (How.DECLARED, How.DELETED) and not binding.types_only
    ]
    if elsewhere:
        entry.cause = Cause.ELSEWHERE
        entry.bindings = sorted(elsewhere, key=lambda b: (_rank(b, entry.uses[0]), b.line, b.column))
    return entry


def _rank(binding: Binding, use: Use) -> int:
    order = (How.IMPORT, How.CLASS, How.FUNCTION)
    around = binding.scope in use.scope.ancestors()
    return (
        -1
        if around
        else order.index(binding.how)
        if binding.how in order
        else len(order) + (binding.how is How.PARAMETER)
    )
