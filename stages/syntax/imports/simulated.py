"""Decides what a simulated interpreter consists of: modules, frames, values, and exceptions between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Literal as OneOf

if TYPE_CHECKING:
    from stages.syntax.imports import program as p

_CAUGHT_BY: Mapping[str, frozenset[str]] = {
    "ModuleNotFoundError": frozenset({"ModuleNotFoundError", "ImportError", "Exception", "BaseException"}),
    "ImportError": frozenset({"ImportError", "Exception", "BaseException"}),
    "AttributeError": frozenset({"AttributeError", "Exception", "BaseException"}),
    "NameError": frozenset({"NameError", "Exception", "BaseException"}),
}


@dataclass(frozen=True, slots=True)
class Failed:
    """The exception that importing an entry raises.

    Args:
        kind: the exception's type.
        message: as CPython words it, without the file's path.
        module: name of the module whose code raises, `path` its file, `line` and `statement` where.
        path: relative to the root.
        ring: files from the half-initialised module to the one that needs it too early; () if no cycle is to blame.
    """

    kind: str
    message: str
    module: str
    path: str
    line: int
    statement: str
    ring: tuple[str, ...]


class Failure(Exception):  # noqa: N818  (it is an outcome of the simulated program, not an error of ours)
    """An exception travelling through simulated frames."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """A module object, by number: a name may stand for a new object after a failed import."""

    number: int


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function and the module whose globals it reads. `travelled`: it was taken from another module's names."""

    module: int
    function: p.Function
    travelled: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `cause`: it stands in for what a failed import did not bring."""

    value: object
    cause: Failed | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A class or function that is not followed: true, and not None."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a project module that is not followed binds."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class Standard:
    """Something of the standard library: calling it is not expected to fail."""


# a tuple is an `__all__`; None is a value not followed
Value = ModuleRef | FunctionRef | Literal | Thing | Outside | Standard | tuple[str, ...] | None


@dataclass(slots=True)
class Module:
    """A simulated module object."""

    number: int
    name: str
    file: str | None  # relative to the root; None outside the project and for namespace packages
    state: OneOf["initialising", "complete"]
    followed: bool  # its code is simulated; otherwise any attribute may be there
    package: bool
    names: dict[str, Value] = field(default_factory=dict)
    lost: dict[str, Failed] = field(default_factory=dict)  # names a caught failure or early star import left out
    broken: Failed | None = None  # what ended its initialisation; whoever still holds it has it as it was left

    @property
    def is_short(self) -> bool:
        """Say whether names are missing that it has once it is complete."""
        return self.state == "initialising" or self.broken is not None

    def copy(self) -> Module:
        return Module(
            self.number,
            self.name,
            self.file,
            self.state,
            self.followed,
            self.package,
            dict(self.names),
            dict(self.lost),
            self.broken,
        )


@dataclass(slots=True)
class Frame:
    """One running block: of a module, a class body (locals, nothing owned) or a function."""

    module: Module
    locals: dict[str, Value] | None = None
    owned: frozenset[str] = frozenset()
    foreign: bool = False  # called from another module than its own
    depth: int = 0
    guards: list[frozenset[str] | None] = field(default_factory=list)
    caught: list[Failed] = field(default_factory=list)
    causes: list[Failed] = field(default_factory=list)  # why the branches that are running were taken


def taken(value: Value, source: Module) -> Value:
    if isinstance(value, FunctionRef) and value.module != source.number:
        return FunctionRef(value.module, value.function, travelled=True)
    return value


def catches(types: frozenset[str] | None, kind: str) -> bool:
    if types is None:
        return True
    return not types.isdisjoint(_CAUGHT_BY.get(kind, frozenset({kind, "Exception", "BaseException"})))


def as_kind(failed: Failed, kind: str) -> Failed:
    return Failed(kind, failed.message, failed.module, failed.path, failed.line, failed.statement, failed.ring)
