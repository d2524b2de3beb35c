"""Decides which bytecode can be read, and what each instruction of it means to names and to the flow of control."""

from __future__ import annotations

import opcode
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

# Versions whose bytecode the tests compare with the syntax tree. Any other is read from the tree alone.
READABLE = sys.version_info[:2] == (3, 11) and sys.implementation.name == "cpython"

_MAP = {name: code for name, code in opcode.opmap.items() if code < 256}  # beyond are the compiler's own, never in code


def number(name: str) -> int:
    """Return an opcode's number, or one that no instruction has where this Python lacks it."""
    return _MAP.get(name, 256)


def one_of(names: Iterable[str]) -> re.Pattern[bytes]:
    numbers = sorted(_MAP[name] for name in names if name in _MAP)
    return re.compile(b"[" + b"".join(re.escape(bytes([code])) for code in numbers) + b"]", re.DOTALL)


EXTENDED_ARG = number("EXTENDED_ARG")
LOAD_CONST = number("LOAD_CONST")
LOAD_NAME = number("LOAD_NAME")
LOAD_GLOBAL = number("LOAD_GLOBAL")
LOAD_ATTR = number("LOAD_ATTR")
LOAD_CLOSURE = number("LOAD_CLOSURE")
STORE_NAME = number("STORE_NAME")
STORE_GLOBAL = number("STORE_GLOBAL")
DELETE_NAME = number("DELETE_NAME")
DELETE_GLOBAL = number("DELETE_GLOBAL")
STORE_FAST = number("STORE_FAST")
STORE_DEREF = number("STORE_DEREF")
IMPORT_NAME = number("IMPORT_NAME")
IMPORT_STAR = number("IMPORT_STAR")
IMPORT_FROM = number("IMPORT_FROM")
FOR_ITER = number("FOR_ITER")
JUMP_FORWARD = number("JUMP_FORWARD")
POP_TOP = number("POP_TOP")
MAKE_FUNCTION = number("MAKE_FUNCTION")
BUILD_TUPLE = number("BUILD_TUPLE")
BINARY_SUBSCR = number("BINARY_SUBSCR")
SETUP_ANNOTATIONS = number("SETUP_ANNOTATIONS")
WITH_EXCEPT_START = number("WITH_EXCEPT_START")

JUMPS: frozenset[int] = frozenset(opcode.hasjrel)
BACKWARD: frozenset[int] = frozenset(code for code in JUMPS if "BACKWARD" in opcode.opname[code])
ALWAYS: frozenset[int] = frozenset(
    code for code in JUMPS if opcode.opname[code].startswith("JUMP_") and "_IF_" not in opcode.opname[code]
)
IF_TRUE: frozenset[int] = frozenset(code for code in JUMPS if opcode.opname[code].endswith("IF_TRUE"))
IF_FALSE: frozenset[int] = frozenset(code for code in JUMPS if opcode.opname[code].endswith("IF_FALSE"))
LEAVES: frozenset[int] = frozenset(number(name) for name in ("RETURN_VALUE", "RAISE_VARARGS", "RERAISE"))
BRANCHES = one_of(opcode.opname[code] for code in JUMPS)


@dataclass(frozen=True, slots=True)
class Instructions:
    """A code object's instructions: opcodes as bytes to search at C speed, arguments whole."""

    ops: bytes
    args: bytes | list[int]

    def find(self, op: int) -> Iterator[int]:
        """Return the positions of one opcode, in order."""
        find = self.ops.find
        position = find(op)
        while position >= 0:
            yield position
            position = find(op, position + 1)

    def before(self, position: int) -> int:
        """Return the position of the instruction before one, prefixes skipped."""
        position -= 1
        while position > 0 and self.ops[position] == EXTENDED_ARG:
            position -= 1
        return position


def instructions(code: CodeType) -> Instructions:
    """Return a code object's instructions, their long arguments joined."""
    raw = code.co_code
    ops = raw[::2]
    if EXTENDED_ARG not in ops:
        return Instructions(ops, raw[1::2])
    args = list(raw[1::2])
    position = ops.find(EXTENDED_ARG)
    while position >= 0:
        args[position + 1] |= args[position] << 8
        position = ops.find(EXTENDED_ARG, position + 1)
    return Instructions(ops, args)


def target(op: int, argument: int, position: int) -> int:
    """Return where a jump lands, in instruction units."""
    return position + 1 - argument if op in BACKWARD else position + 1 + argument


def protected_ranges(code: CodeType) -> list[tuple[int, int, int]]:
    """Return (start, end, handler) of a code object's exception table, in instruction units."""
    table = code.co_exceptiontable
    if not table:
        return []
    values: list[int] = []
    current, fresh = 0, True
    for byte in table:
        current = (byte & 63) if fresh else (current << 6) | (byte & 63)
        fresh = not byte & 64
        if fresh:
            values.append(current)
    return [(values[i], values[i] + values[i + 1], values[i + 2]) for i in range(0, len(values) - 3, 4)]


def line_at(code: CodeType, positions: Iterable[int]) -> dict[int, int]:
    """Return the source line of each position."""
    wanted = sorted(positions, reverse=True)
    lines: dict[int, int] = {}
    for start, end, line in code.co_lines():
        while wanted and wanted[-1] * 2 < end:
            position = wanted.pop()
            if position * 2 >= start:
                lines[position] = line or code.co_firstlineno
        if not wanted:
            break
    return lines
