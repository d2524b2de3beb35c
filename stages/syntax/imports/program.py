"""Decides the vocabulary of the simulation: the few things a module does that matter to its initialisation."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

Chain = tuple[str, ...]  # ("a", "b", "c") for a.b.c


@dataclass(frozen=True, slots=True)
class ImportModule:
    """`import a.b.c [as alias]`."""

    line: int
    text: str
    name: str
    alias: str | None


@dataclass(frozen=True, slots=True)
class ImportNames:
    """`from ..a import b as c, d`; a star is the name "*"."""

    line: int
    text: str
    module: str
    level: int
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ImportCall:
    """`importlib.import_module("..a.b", base)`, or `__import__("a.b")`, which gives `a` unless `whole`.

    `base` is the package that leading dots start from, `__package__` or `__name__` where those are given.
    """

    line: int
    text: str
    node: ast.Call
    name: str
    level: int
    base: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Bind:
    """Names get values that we do not follow."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """`name = a.b`: the value is followed."""

    name: str
    chain: Chain
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = value`, where the value is a constant, or can be known once modules are as they then are."""

    name: str
    value: ast.expr


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """`a.b.name = ...`: whoever holds the module sees it."""

    chain: Chain
    name: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """`a.b.__all__`, as part of another list."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class ExtendAll:
    """`__all__ = [...] + a.__all__` (or `+=`); None where the list is computed in some other way."""

    parts: tuple[str | ListOf, ...] | None
    fresh: bool
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """A name is read, attributes of it are read, and it may be called; with `origin`, attributes of what that gives."""

    line: int
    text: str
    chain: Chain
    call: bool
    origin: ast.Call | None = None
    quiet: bool = False  # `hasattr`, `getattr` with a default: the last attribute may be missing


@dataclass(frozen=True, slots=True)
class Delete:
    """`del name`."""

    line: int
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Define:
    """A function that can be followed when it is called."""

    name: str
    function: Function


@dataclass(frozen=True, slots=True)
class DefineClass:
    """A class: its body runs at once."""

    name: str
    body: Block
    initialiser: Function | None
    followed: bool  # False where a decorator may replace it


@dataclass(frozen=True, slots=True)
class Either:
    """One of the blocks runs, and we cannot know which; none of them proves a failure."""

    blocks: tuple[Block, ...]
    binds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """`if test:`, and what else depends on a test. Where that is unknown, `guess` tries both blocks, as `Either`."""

    test: ast.expr
    body: Block
    otherwise: Block
    binds: tuple[str, ...]
    guess: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Names whose values are not known any more, as after a loop."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Handler:
    """One except clause; `types` is None for a bare one."""

    types: frozenset[str] | None
    name: str | None
    body: Block


@dataclass(frozen=True, slots=True)
class Attempt:
    """`try`: `binds` are the names that its body binds when nothing fails."""

    body: Block
    handlers: tuple[Handler, ...]
    otherwise: Block
    final: Block
    binds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """`return`, or `raise` (of the named exception; "" re-raises)."""

    raises: str | None


@dataclass(frozen=True, slots=True)
class Obscure:
    """From here on the module's namespace may hold anything."""


Instruction = (
    ImportModule | ImportNames | ImportCall | Bind | Alias | Assign | SetAttribute | ExtendAll | Use | Delete | Define
    | DefineClass | Either | Branch | Forget | Attempt | Leave | Obscure
)  # fmt: skip
Block = tuple[Instruction, ...]


@dataclass(slots=True, eq=False)
class Function:
    """A function's syntax tree; its block is made when it is first called."""

    node: ast.FunctionDef
    postponed: bool  # annotations of what it defines are not evaluated
    importers: frozenset[Chain] = frozenset()  # what its module calls functions that import by name
    outer: frozenset[str] = frozenset()  # locals of the functions around it
    globals: frozenset[str] = frozenset()
    locals: frozenset[str] = frozenset()
    block: Block | None = field(default=None)
