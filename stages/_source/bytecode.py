"""Decides what a file binds, imports and looks up, from its code objects: most questions answered at C speed."""

from __future__ import annotations

import builtins
import itertools
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING

from stages._source import opcodes, typetext
from stages._source.opcodes import instructions, line_at
from stages._source.records import ImportSite
from stages._source.unbound import function_may_read_unbound, names_may_be_unbound, runs_on_the_spot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.opcodes import Instructions

MODULE_OWNER = (0, "<module>")
CLASS_NAMES = frozenset({"__module__", "__qualname__", "__firstlineno__", "__annotations__"})  # in every class body
_IMPLICIT = frozenset({"__doc__", "__annotations__"})  # bound by the compiler, or there without being bound
_TYPES_ONLY_FLAGS = ("TYPE_CHECKING", "MYPY")
_INSIDE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"})
_REACHING = frozenset({"globals", "f_globals", "f_builtins", "__builtins__", "builtins", "__builtin__", "gettext"}) | {
    *("global_enum", "_convert_", "_convert"),  # `enum` writes members into the module
}
_REACHING_HERE = frozenset({"vars", "locals", "exec", "dir"})  # only the module's own frame is changed through them
_BUILTINS = frozenset(dir(builtins))
_TELLING = _REACHING | _REACHING_HERE | typetext.STRING_ARGUMENTS | {"modules"}  # any of these is worth a closer look

Owner = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file's bytecode says.

    Args:
        loads: names looked up as globals anywhere in the file.
        type_only: names bound at module level only below `if TYPE_CHECKING`.
        strings: annotation strings, with the names that stand around them.
        hints: names whose presence may mean a namespace changed at run time.
        exports: strings that statements which bind `__all__` hold.
        owners: functions (first line, name) in which some path may read a name before it is bound.
    """

    imports: tuple[ImportSite, ...]
    bindings: frozenset[str]
    loads: frozenset[str]
    type_only: frozenset[str]
    star: bool
    hints: bool
    strings: frozenset[tuple[str, frozenset[str]]]
    owners: frozenset[Owner]
    exports: frozenset[str]


@dataclass(slots=True)
class _Walk:
    imports: list[ImportSite] = field(default_factory=list)
    bindings: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)  # module names that functions bind by `global`
    loads: set[str] = field(default_factory=set)
    strings: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    owners: set[Owner] = field(default_factory=set)
    class_gaps: list[tuple[Owner, set[str]]] = field(default_factory=list)
    star: bool = False
    hints: bool = False


def read(code: CodeType) -> Reading:
    """Read a module's code object and everything nested in it."""
    walk = _Walk()
    stream = instructions(code)
    stores = _names(code, stream, opcodes.STORE_NAME) | _names(code, stream, opcodes.STORE_GLOBAL)
    walk.bindings |= stores
    walk.loads |= _names(code, stream, opcodes.LOAD_NAME) | _globals(code, stream)
    walk.loads |= _names(code, stream, opcodes.DELETE_NAME)
    _common(walk, code, stream, eager=True)
    for inner in _nested(code):
        _visit(walk, inner, MODULE_OWNER, eager=True)
    tracked = stores - walk.outer - _BUILTINS
    if _module_may_read_unbound(code, stream, tracked):
        walk.owners.add(MODULE_OWNER)
    known = walk.bindings | _BUILTINS
    walk.owners.update(owner for owner, gaps in walk.class_gaps if not gaps <= known)
    walk.imports.sort(key=lambda site: site.line)
    return Reading(
        tuple(dict.fromkeys(walk.imports)),  # a `finally` block is compiled once for each way through it
        frozenset(walk.bindings) - _IMPLICIT,
        frozenset(walk.loads),
        _type_only(code, stream, walk.outer),
        walk.star,
        walk.hints,
        frozenset(walk.strings),
        frozenset(walk.owners),
        _exports(code, stream) if "__all__" in stores else frozenset(),
    )


def _visit(walk: _Walk, code: CodeType, owner: Owner, *, eager: bool) -> None:
    stream = instructions(code)
    if code.co_flags & 1:  # CO_OPTIMIZED: a function, lambda or comprehension; names are found at compile time
        eager = False
        walk.loads |= _globals(code, stream)
        if code.co_name not in _INSIDE:
            owner = (code.co_firstlineno, code.co_name)
        if function_may_read_unbound(code, stream):
            walk.owners.add(owner)
    else:
        stores = _names(code, stream, opcodes.STORE_NAME)
        loads = _names(code, stream, opcodes.LOAD_NAME)
        walk.loads |= (loads - stores - CLASS_NAMES) | _globals(code, stream)
        if gaps := _class_gaps(code, stream, loads & stores):
            walk.class_gaps.append((owner, gaps))
    if opcodes.DELETE_GLOBAL in stream.ops:
        walk.loads |= _names(code, stream, opcodes.DELETE_GLOBAL)
    if opcodes.STORE_GLOBAL in stream.ops:
        walk.outer |= _names(code, stream, opcodes.STORE_GLOBAL)
        walk.bindings |= walk.outer
    _common(walk, code, stream, eager=eager)
    for inner in _nested(code):
        _visit(walk, inner, owner, eager=eager)


def _common(walk: _Walk, code: CodeType, stream: Instructions, *, eager: bool) -> None:
    if opcodes.IMPORT_NAME in stream.ops:
        walk.imports += _imports(code, stream, eager=eager)
        walk.star |= opcodes.IMPORT_STAR in stream.ops
    telling = not _TELLING.isdisjoint(code.co_names)
    if telling and not walk.hints:
        walk.hints = _hints(code, stream)
    if code.co_flags & 1 and not telling and opcodes.MAKE_FUNCTION not in stream.ops:
        return  # most functions: nothing in them writes a type as text
    strings = {*typetext.strings_of(code, stream), *typetext.loose_strings_of(code, stream)}
    if strings:
        visible = {*_names(code, stream, opcodes.STORE_NAME), *code.co_varnames, *code.co_cellvars, *code.co_freevars}
        around = frozenset(visible)
        walk.strings.update((text, around) for text in strings)


def _hints(code: CodeType, stream: Instructions) -> bool:
    names = code.co_names
    if not _REACHING.isdisjoint(names):
        return True
    if not code.co_flags & 1 and not _REACHING_HERE.isdisjoint(names):
        return True
    if "modules" in names and "__name__" in names:  # `type(x).__name__` is no name of the module
        return "__name__" in _globals(code, stream) | _names(code, stream, opcodes.LOAD_NAME)
    return False


def _names(code: CodeType, stream: Instructions, op: int) -> set[str]:
    names, args = code.co_names, stream.args
    return {names[args[position]] for position in stream.find(op)} if op in stream.ops else set()


def _globals(code: CodeType, stream: Instructions) -> set[str]:
    names, args = code.co_names, stream.args
    return {names[args[position] >> 1] for position in stream.find(opcodes.LOAD_GLOBAL)}


def _nested(code: CodeType) -> Iterable[CodeType]:
    return [constant for constant in code.co_consts if type(constant) is CodeType]


def _imports(code: CodeType, stream: Instructions, *, eager: bool) -> Iterator[ImportSite]:
    sites = list(stream.find(opcodes.IMPORT_NAME))
    lines = line_at(code, sites)
    consts, names, args = code.co_consts, code.co_names, stream.args
    for position in sites:
        fromlist_at = stream.before(position)
        level_at = stream.before(fromlist_at)
        wanted = consts[args[fromlist_at]]
        if wanted and any(name.startswith("__") for name in wanted):
            wanted = _taken(code, stream, position, len(wanted))
        line = lines.get(position, code.co_firstlineno)
        yield ImportSite(line, names[args[position]], consts[args[level_at]], wanted, eager)


def _taken(code: CodeType, stream: Instructions, position: int, count: int) -> tuple[str, ...]:
    """Return the names that the instructions after an import take from it: in a class, private ones are mangled."""
    taken = (at for at in stream.find(opcodes.IMPORT_FROM) if at > position)
    return tuple(code.co_names[stream.args[at]] for at in itertools.islice(taken, count))


def _class_gaps(code: CodeType, stream: Instructions, names: set[str]) -> set[str]:
    """Return the names a class body may read before it binds them; such a read falls through to the module."""
    if not names:
        return names
    if opcodes.BRANCHES.search(stream.ops) or code.co_exceptiontable or opcodes.DELETE_NAME in stream.ops:
        return names
    first_load: dict[str, int] = {}
    for position in stream.find(opcodes.LOAD_NAME):
        first_load.setdefault(code.co_names[stream.args[position]], position)
    bound = set()
    for position in stream.find(opcodes.STORE_NAME):
        name = code.co_names[stream.args[position]]
        if name in names and position < first_load[name]:
            bound.add(name)
    return names - bound


def _module_may_read_unbound(code: CodeType, stream: Instructions, tracked: set[str]) -> bool:
    index = {name: number for number, name in enumerate(code.co_names)}
    inline: dict[int, int] = {}
    used = _names(code, stream, opcodes.LOAD_NAME) | _names(code, stream, opcodes.DELETE_NAME)
    for number, constant in enumerate(code.co_consts):
        if type(constant) is CodeType and runs_on_the_spot(constant):
            names = _eager_loads(constant) & tracked
            used |= names
            inline[number] = sum(1 << index[name] for name in names)
    wanted = used & tracked
    if not wanted:
        return False
    return names_may_be_unbound(code, stream, sum(1 << index[name] for name in wanted), inline)


def _eager_loads(code: CodeType) -> set[str]:
    stream = instructions(code)
    names = _globals(code, stream) | _names(code, stream, opcodes.LOAD_NAME)
    for inner in _nested(code):
        if runs_on_the_spot(inner):
            names |= _eager_loads(inner)
    return names


def _exports(code: CodeType, stream: Instructions) -> frozenset[str]:
    found: set[str] = set()
    for position in stream.find(opcodes.STORE_NAME):
        if code.co_names[stream.args[position]] != "__all__":
            continue
        for before in range(position - 1, -1, -1):
            if stream.ops[before] in (opcodes.STORE_NAME, opcodes.POP_TOP):
                break
            if stream.ops[before] == opcodes.LOAD_CONST:
                value = code.co_consts[stream.args[before]]
                found.update(text for text in (value if type(value) is tuple else (value,)) if type(text) is str)
    return frozenset(found)


def _type_only(code: CodeType, stream: Instructions, elsewhere: set[str]) -> frozenset[str]:
    if not any(flag in code.co_names for flag in _TYPES_ONLY_FLAGS):
        return frozenset()
    inside: set[str] = set()
    outside: set[str] = set(elsewhere)
    spans = _type_checking_spans(code, stream)
    for position in stream.find(opcodes.STORE_NAME):
        name = code.co_names[stream.args[position]]
        (inside if any(start <= position < end for start, end in spans) else outside).add(name)
    return frozenset(inside - outside)


def _type_checking_spans(code: CodeType, stream: Instructions) -> list[tuple[int, int]]:
    flags = [place for place, name in enumerate(code.co_names) if name in _TYPES_ONLY_FLAGS]
    spans = []
    for op in (opcodes.LOAD_NAME, opcodes.LOAD_ATTR):
        for position in stream.find(op):
            if stream.args[position] not in flags:
                continue
            branch = opcodes.BRANCHES.search(stream.ops, position)
            if branch is None:
                continue
            at = branch.start()
            landing = opcodes.target(stream.ops[at], stream.args[at], at)
            if stream.ops[at] in opcodes.IF_FALSE:
                spans.append((at, landing))
            elif stream.ops[landing - 1] == opcodes.JUMP_FORWARD:
                spans.append((landing, opcodes.target(opcodes.JUMP_FORWARD, stream.args[landing - 1], landing - 1)))
            elif stream.ops[landing - 1] in opcodes.LEAVES:  # the other branch ends the module
                spans.append((landing, len(stream.ops)))
    return spans
