"""Decides which names a type expression written as text stands for, and finds such text in code objects."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from stages._source import opcodes
from stages._source.opcodes import number
from stages._source.parsing import parse_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from stages._source.opcodes import Instructions

STRING_ARGUMENTS = frozenset({"cast", "TypeVar"})
_PUSH_ONE = frozenset(number(n) for n in ("LOAD_CONST", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF"))
_KEEP = frozenset(number(n) for n in ("CACHE", "EXTENDED_ARG", "LOAD_ATTR", "UNARY_INVERT", "UNARY_NEGATIVE"))
_POP_ONE = frozenset(number(n) for n in ("BINARY_SUBSCR", "BINARY_OP", "COMPARE_OP"))
_BUILDS = frozenset(number(n) for n in ("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET"))
_NAMING = frozenset(number(n) for n in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD", "LOAD_DEREF"))
_STATEMENT_ENDS = frozenset(number(n) for n in ("STORE_NAME", "STORE_FAST", "POP_TOP", "RETURN_VALUE"))
UNREADABLE = "\0"  # stands for text that could not be told apart from names; it never resolves


_NONE: frozenset[str] = frozenset()


@lru_cache(maxsize=20_000)
def names_in_text(text: str, shapes: frozenset[str] = _NONE) -> tuple[ast.Name, ...]:
    """Return the names of a type expression given as text; none where the text is no expression."""
    if text == UNREADABLE:
        return (ast.Name(id=UNREADABLE, lineno=1, col_offset=0),)
    tree = parse_type(text)
    return tuple(names_in_type(tree.body, quoted=True, shapes=shapes)) if tree is not None else ()


def roots(text: str) -> frozenset[str]:
    """Return the identifiers that a type expression given as text looks up."""
    return frozenset(name.id for name in names_in_text(text))


def names_in_type(node: ast.expr, *, quoted: bool, shapes: frozenset[str] = _NONE) -> Iterator[ast.Name]:
    """Yield the names a type checker looks up in an annotation, its strings included.

    With `quoted` the expression itself is text, so its own names count; without, only names inside strings do.
    `shapes`: what a text in brackets behind it says of an array, as in `Float["b n"]`, is no type.
    """
    bound: set[str] = set()
    if quoted:
        bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        bound |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    for name in _type_names(node, quoted, shapes):
        if name.id not in bound:
            yield name


def _type_names(node: ast.AST, quoted: bool, shapes: frozenset[str]) -> Iterator[ast.Name]:
    if isinstance(node, ast.Name):
        if quoted and isinstance(node.ctx, ast.Load):
            yield node
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from (ast.copy_location(ast.Name(n.id, ast.Load()), node) for n in names_in_text(node.value, shapes))
    elif isinstance(node, ast.Subscript):
        yield from _type_names(node.value, quoted, shapes)
        yield from _bracketed(node, quoted, shapes)
    elif isinstance(node, ast.Call):
        yield from _plain_names(node, quoted)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _type_names(child, quoted, shapes)


def _bracketed(node: ast.Subscript, quoted: bool, shapes: frozenset[str]) -> Iterator[ast.Name]:
    """Yield the names in the brackets of a type."""
    last = last_word(node.value)
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if last == "Annotated" and len(items) > 1:
        yield from _type_names(items[0], quoted, shapes)
        yield from (name for extra in items[1:] for name in _plain_names(extra, quoted))
    elif last == "Literal":
        yield from _plain_names(node.slice, quoted)
    elif last in shapes or (isinstance(node.value, ast.Attribute) and last_word(node.value.value) in shapes):
        for item in items:
            if not isinstance(item, ast.Constant):
                yield from _type_names(item, quoted, shapes)
    else:
        yield from _type_names(node.slice, quoted, shapes)


def _plain_names(node: ast.AST, quoted: bool) -> Iterator[ast.Name]:
    if quoted:
        yield from (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def is_type_like(node: ast.expr) -> bool:
    """Return whether an expression has the form of a type; others stand in annotations only by mistake or as prose."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        return is_type_like(node.value)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and is_type_like(node.left) and is_type_like(node.right)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, str | None))


@lru_cache(maxsize=20_000)
def names_of_type(text: str) -> frozenset[str]:
    """Return the identifiers that a text looks up as a type; none where it does not have the form of one."""
    tree = parse_type(text)
    return roots(text) if tree is not None and is_type_like(tree.body) else frozenset()


def last_word(node: ast.expr) -> str:
    """Return the last identifier of a dotted name, or nothing."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def strings_of(code: CodeType, stream: Instructions) -> Iterator[str]:
    """Yield the annotations that a code object writes as text, for functions, arguments and variables."""
    ops, args, consts = stream.ops, stream.args, code.co_consts
    for position in stream.find(opcodes.MAKE_FUNCTION):
        if not args[position] & 4:
            continue
        body_at = stream.before(position)
        end = body_at
        if args[position] & 8:
            built_at = stream.before(body_at)
            end = built_at
            for _ in range(args[built_at]):
                end = stream.before(end)
        last = stream.before(end)
        if ops[last] == opcodes.LOAD_CONST:
            yield from (text for text in consts[args[last]][1::2] if type(text) is str)
        else:
            yield from _arguments(_texts_before(code, stream, end), consts[args[body_at]])
    if opcodes.SETUP_ANNOTATIONS in ops:
        for position in stream.find(opcodes.LOAD_NAME):
            if code.co_names[args[position]] == "__annotations__":
                yield from _texts_before(code, stream, position)


def _arguments(texts: list[str], function: CodeType) -> Iterator[str]:
    """Yield the texts that are annotations: each argument's name stands among them once, as its key."""
    if not texts:
        return
    keys = {"return", *function.co_varnames}
    seen: set[str] = set()
    for text in texts:
        if text in keys and text not in seen:
            seen.add(text)
        else:
            yield text


def _texts_before(code: CodeType, stream: Instructions, end: int) -> list[str]:
    """Return the string constants of the one expression that ends before a position."""
    ops, args, consts = stream.ops, stream.args, code.co_consts
    need, found = 1, []
    position = end
    while need and position > 0:
        position -= 1
        op = ops[position]
        if op in _KEEP:
            continue
        if op in _PUSH_ONE or (op == opcodes.LOAD_GLOBAL and not args[position] & 1):
            need -= 1
            if op == opcodes.LOAD_CONST and not _after_literal(code, stream, position):
                value = consts[args[position]]
                found += [text for text in (value if type(value) is tuple else (value,)) if type(text) is str]
        elif op in _POP_ONE:
            need += 1
        elif op in _BUILDS:
            need += args[position] - 1
        else:
            return [UNREADABLE]  # a call or a branch: leave it to the syntax tree
    found.reverse()
    return found


def _after_literal(code: CodeType, stream: Instructions, position: int) -> bool:
    """Return whether a constant is the subscript of `Literal`."""
    before = position - 1
    while before > 0 and stream.ops[before] in (opcodes.EXTENDED_ARG, 0):
        before -= 1
    op = stream.ops[before]
    argument = stream.args[before] >> 1 if op == opcodes.LOAD_GLOBAL else stream.args[before]
    return op in (opcodes.LOAD_NAME, opcodes.LOAD_GLOBAL, opcodes.LOAD_ATTR) and code.co_names[argument] == "Literal"


def loose_strings_of(code: CodeType, stream: Instructions) -> Iterator[str]:
    """Yield text that names types outside annotations: subscripts at module level, `cast`, `TypeVar`."""
    if not code.co_flags & 1:
        yield from _subscript_strings(code, stream)
    if STRING_ARGUMENTS.isdisjoint(code.co_names):
        return
    ops, args, consts = stream.ops, stream.args, code.co_consts
    for position, op in enumerate(ops):
        if op not in _NAMING or op == number("LOAD_DEREF"):
            continue
        argument = args[position] >> 1 if op == opcodes.LOAD_GLOBAL else args[position]
        if code.co_names[argument] not in STRING_ARGUMENTS:
            continue
        for after in range(position + 1, len(ops)):
            if ops[after] in _STATEMENT_ENDS:
                break
            if ops[after] == opcodes.LOAD_CONST and type(value := consts[args[after]]) is str:
                yield value


def _subscript_strings(code: CodeType, stream: Instructions) -> Iterator[str]:
    consts = code.co_consts
    for position in stream.find(opcodes.BINARY_SUBSCR):
        last = stream.before(position)
        if stream.ops[last] == opcodes.LOAD_CONST:
            value = consts[stream.args[last]]
            if not _after_literal(code, stream, last):
                yield from (text for text in (value if type(value) is tuple else (value,)) if type(text) is str)
        elif stream.ops[last] in _BUILDS:
            yield from _texts_before(code, stream, position)
