"""Decides, from bytecode alone, whether some path may read a name before it is bound; never misses one."""

from __future__ import annotations

import opcode
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING

from stages._source import opcodes
from stages._source.opcodes import number

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from stages._source.opcodes import Instructions

_CONTROL = [*(opcode.opname[code] for code in opcodes.JUMPS), "RETURN_VALUE", "RAISE_VARARGS", "RERAISE"]
_FAST = ["LOAD_FAST", "LOAD_DEREF", "STORE_FAST", "STORE_DEREF", "DELETE_FAST", "DELETE_DEREF"]
_NAMED = ["LOAD_NAME", "STORE_NAME", "STORE_GLOBAL", "DELETE_NAME", "DELETE_GLOBAL", "LOAD_CONST", "IMPORT_STAR"]
_FAST_EVENTS = opcodes.one_of([*_CONTROL, *_FAST, "WITH_EXCEPT_START"])
_FAST_AND_INLINE_EVENTS = opcodes.one_of([*_CONTROL, *_FAST, "WITH_EXCEPT_START", "LOAD_CONST"])
_NAMED_EVENTS = opcodes.one_of([*_CONTROL, *_NAMED, "WITH_EXCEPT_START"])
_FAST_TOUCHES = opcodes.one_of(_FAST)
_FAST_AND_INLINE_TOUCHES = opcodes.one_of([*_FAST, "LOAD_CONST"])
_NAMED_TOUCHES = opcodes.one_of(_NAMED)
_LOADS = frozenset(number(name) for name in ("LOAD_FAST", "LOAD_DEREF", "LOAD_NAME"))
_STORES = frozenset(number(name) for name in ("STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_GLOBAL"))
_DELETES = frozenset(number(name) for name in ("DELETE_FAST", "DELETE_DEREF", "DELETE_NAME", "DELETE_GLOBAL"))
_NAME_TOUCHES = _LOADS | _STORES | _DELETES
_TOUCHES = _NAME_TOUCHES | {opcodes.LOAD_CONST}
_ANY_DELETE = opcodes.one_of(["DELETE_FAST", "DELETE_DEREF", "DELETE_NAME", "DELETE_GLOBAL"])
_SWALLOWERS = frozenset({"suppress"})
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
_ALL_COMPREHENSIONS = _COMPREHENSIONS | {"<genexpr>"}


def function_may_read_unbound(code: CodeType, stream: Instructions) -> bool:
    """Return whether some path through a function may read one of its own names while it is unbound."""
    parameters = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    own = code.co_nlocals
    if cells := code.co_cellvars:
        own += len(set(cells).difference(code.co_varnames))
    deletes = _ANY_DELETE.search(stream.ops) is not None
    if not deletes and (own <= parameters or _is_one_loop(code, stream)):
        return False
    tracked = ((1 << own) - 1) & ~((1 << parameters) - 1)
    inline = _captured_on_the_spot(code) if code.co_cellvars else {}
    initial = _late(code, stream, tracked, inline)
    if not initial and not deletes:
        return False
    # with deletes any name may become unbound again; without, only those that are still unbound at the first branch
    doubtful = (1 << own) - 1 if deletes else _bypassed(code, stream, initial, inline)
    return doubtful != 0 and _Flow(code, stream, doubtful, inline).reads_unbound(initial & doubtful)


def names_may_be_unbound(code: CodeType, stream: Instructions, tracked: int, inline: Mapping[int, int]) -> bool:
    """Return whether module code may read a tracked name (by index in `co_names`) while it is unbound.

    `inline` gives, for constants that are code run on the spot (class bodies, comprehensions), the names they read.
    """
    initial = _late(code, stream, tracked, inline)
    if any(tracked >> stream.args[p] & 1 for d in _DELETES for p in stream.find(d)):
        return _Flow(code, stream, tracked, inline).reads_unbound(initial)
    doubtful = _bypassed(code, stream, initial, inline)
    return doubtful != 0 and _Flow(code, stream, doubtful, inline).reads_unbound(doubtful)


def _is_one_loop(code: CodeType, stream: Instructions) -> bool:
    """Return whether code is a comprehension with one `for`, which binds its names before anything reads them."""
    return code.co_name in _ALL_COMPREHENSIONS and stream.ops.count(opcodes.FOR_ITER) == 1


def runs_on_the_spot(code: CodeType) -> bool:
    """Return whether nested code runs where it stands: a class body, or a comprehension that is no generator."""
    return not code.co_flags & 1 or code.co_name in _COMPREHENSIONS


def _captured_on_the_spot(code: CodeType) -> dict[int, int]:
    """Return, for each nested code that runs on the spot, the function's own cells that it may read."""
    own = [*code.co_varnames, *(name for name in code.co_cellvars if name not in code.co_varnames)]
    inline = {}
    for place, constant in enumerate(code.co_consts):
        if type(constant) is CodeType and constant.co_freevars and runs_on_the_spot(constant):
            inline[place] = sum(1 << own.index(name) for name in constant.co_freevars if name in own)
    return inline


def _late(code: CodeType, stream: Instructions, tracked: int, inline: Mapping[int, int]) -> int:
    """Return the tracked names that are not bound for certain before the first branch, protected range or read."""
    branch = opcodes.BRANCHES.search(stream.ops)
    end = branch.start() if branch else len(stream.ops)
    ranges = opcodes.protected_ranges(code)
    if ranges:
        end = min(end, ranges[0][0])
    ops, args = stream.ops, stream.args
    left = tracked
    for match in _events(code, inline).finditer(ops, 0, end):
        position = match.start()
        op = ops[position]
        if op in _STORES:
            left &= ~(1 << args[position])
        elif op in _LOADS:
            if left >> args[position] & 1:
                return tracked
        elif op in _DELETES or (op == opcodes.LOAD_CONST and left & inline.get(args[position], 0)):
            return tracked
    return left


def _bypassed(code: CodeType, stream: Instructions, names: int, inline: Mapping[int, int]) -> int:
    """Return the names that some path may read without having come by their first binding; none of them is deleted.

    A name is in order where nothing jumps into the stretch from its first binding to its last read: the only way to
    such a read leads through the binding. This clears most names in one pass, without following any path.
    """
    first, last, early = _stretches(code, stream, names, inline)
    if early == names:
        return names
    ways = _ways(code, stream)
    doubtful = early
    for name, start in first.items():
        end = last.get(name, start)
        if any(start < landing <= end and not (start < low and high <= end) for low, high, landing in ways):
            doubtful |= 1 << name
    return doubtful


def _stretches(
    code: CodeType, stream: Instructions, names: int, inline: Mapping[int, int]
) -> tuple[dict[int, int], dict[int, int], int]:
    """Return the places of each name's first binding and last read, and the names that are read further above."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    early = 0
    ops, args = stream.ops, stream.args
    for match in _touches(code, inline).finditer(ops):
        position = match.start()
        op, argument = ops[position], args[position]
        if op == opcodes.LOAD_CONST:
            read = inline.get(argument, 0) & names
            last.update((name, position) for name in first if read >> name & 1)
            early |= read & ~sum(1 << name for name in first) if read else 0
        elif names >> argument & 1:
            if op in _STORES:
                first.setdefault(argument, position)
            elif argument in first:
                last[argument] = position
            else:
                early |= 1 << argument
    return first, last, early


def _ways(code: CodeType, stream: Instructions) -> list[tuple[int, int, int]]:
    """Return every way that is no step to the next instruction: the places it may start from, and where it leads."""
    ops, args = stream.ops, stream.args
    ways = [(start, end - 1, handler) for start, end, handler in opcodes.protected_ranges(code)]
    for match in opcodes.BRANCHES.finditer(ops):
        position = match.start()
        ways.append((position, position, opcodes.target(ops[position], args[position], position)))
    return ways


def _touches(code: CodeType, inline: Mapping[int, int]) -> re.Pattern[bytes]:
    if not code.co_flags & 1:
        return _NAMED_TOUCHES
    return _FAST_AND_INLINE_TOUCHES if inline else _FAST_TOUCHES


def _events(code: CodeType, inline: Mapping[int, int]) -> re.Pattern[bytes]:
    if not code.co_flags & 1:
        return _NAMED_EVENTS
    return _FAST_AND_INLINE_EVENTS if inline else _FAST_EVENTS


@dataclass(slots=True)
class _Flow:
    """Forward analysis, one bit a name: set where some path leaves the name unbound."""

    code: CodeType
    stream: Instructions
    tracked: int
    inline: Mapping[int, int]
    at: dict[int, int] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)  # end of a `for` loop -> its head
    covering: dict[int, list[int]] = field(default_factory=dict)
    changed: bool = False
    state: int | None = 0
    heads: dict[int, int] = field(default_factory=dict)  # state in which each `for` loop is entered
    leaving_with: bool = False  # between a with statement's exit call and the test whether it swallowed
    swallows: bool = False

    def reads_unbound(self, initial: int) -> bool:
        positions = self._positions()
        self.swallows = not _SWALLOWERS.isdisjoint(self.code.co_names)
        self.changed = True
        while self.changed:
            self.changed = False
            if self._pass(positions, initial):
                return True
        return False

    def _positions(self) -> list[int]:
        ops = self.stream.ops
        args, wanted = self.stream.args, self.tracked
        found = [
            position
            for match in _events(self.code, self.inline).finditer(ops)
            if ops[position := match.start()] not in _NAME_TOUCHES or wanted >> args[position] & 1
        ]
        ranges = opcodes.protected_ranges(self.code)
        targets = {handler for _start, _end, handler in ranges}
        for position in found:
            op = ops[position]
            if op in opcodes.JUMPS:
                landing = self._landing(op, position)
                targets.add(landing)
                if op == opcodes.FOR_ITER:
                    self.exits[landing] = position
        for start, end, handler in ranges:
            inside = {start, *(t for t in targets if start < t < end)}
            inside.update(p for p in found if start <= p < end and ops[p] in _DELETES)
            for position in inside:
                self.covering.setdefault(position, []).append(handler)
        return sorted({*found, *targets, *self.covering})

    def _landing(self, op: int, position: int) -> int:
        landing = opcodes.target(op, self.stream.args[position], position)
        while self.stream.ops[landing] == opcodes.EXTENDED_ARG:
            landing += 1
        return landing

    def _push(self, landing: int, state: int, position: int) -> None:
        before = self.at.get(landing)
        after = state if before is None else before | state
        if after != before:
            self.at[landing] = after
            self.changed |= landing <= position

    def _pass(self, positions: list[int], initial: int) -> bool:
        ops, at = self.stream.ops, self.at
        self.state, self.heads, self.leaving_with = initial, {}, False
        for position in positions:
            if position in self.exits and position not in at and self.exits[position] in self.heads:
                at[position] = self.heads[
                    self.exits[position]
                ]  # the body never comes round: left by running zero times
            if position in at:
                self.state = at[position] | (self.state or 0)
            if self.state is None:
                continue
            for handler in self.covering.get(position, ()):
                self._push(handler, self.state, position)
            op = ops[position]
            if op in _TOUCHES:
                if self._touch(op, position, self.state):
                    return True
            elif op in opcodes.JUMPS:
                self._branch(op, position, self.state)
            elif op in opcodes.LEAVES:
                self.state = None
            elif op == opcodes.WITH_EXCEPT_START:
                self.leaving_with = True
            elif op == opcodes.IMPORT_STAR:
                self.state = 0
        return False

    def _touch(self, op: int, position: int, state: int) -> bool:
        """Follow an instruction that reads, binds or unbinds; return whether it reads an unbound name."""
        argument = self.stream.args[position]
        if op == opcodes.LOAD_CONST:
            return bool(state & self.inline.get(argument, 0))
        bit = 1 << argument & self.tracked
        if op in _STORES:
            self.state = state & ~bit
        elif state & bit:
            return True
        elif op in _DELETES:
            self.state = state | bit
            for handler in self.covering.get(position, ()):
                self._push(handler, self.state, position)
        return False

    def _branch(self, op: int, position: int, state: int) -> None:
        if op == opcodes.FOR_ITER:
            self.heads[position] = state
        else:
            swallowing = self.leaving_with and op in opcodes.IF_TRUE and not self.swallows
            self._jump(op, position, 0 if swallowing else state)  # few managers swallow: that alone is no suspicion
        self.leaving_with = self.leaving_with and op not in opcodes.IF_TRUE
        if op in opcodes.ALWAYS:
            self.state = None

    def _jump(self, op: int, position: int, state: int) -> None:
        landing = self._landing(op, position)
        self._push(landing, state, position)
        if op in opcodes.BACKWARD and self.stream.ops[landing] == opcodes.FOR_ITER:
            # a loop's code after it is judged as if the loop had run: its end is reached from the end of its body
            exit_at = self._landing(opcodes.FOR_ITER, landing)
            self._push(exit_at, state, position)
