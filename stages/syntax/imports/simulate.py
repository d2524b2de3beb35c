"""Decides whether importing a module first, in a fresh interpreter, raises because of a cycle: its statements, dry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages.syntax.imports import program as p
from stages.syntax.imports.import_system import ImportSystem
from stages.syntax.imports.lower import lower_function
from stages.syntax.imports.simulated import (
    Failed,
    Failure,
    Frame,
    FunctionRef,
    as_kind,
    catches,
)

if TYPE_CHECKING:
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.world import World

_CALL_DEPTH = 6
_RECURSION = 50_000  # one level of import nests about eight of our frames


class Simulation(ImportSystem):
    """One fresh interpreter. `modules` is its sys.modules."""

    def __init__(self, world: World, conditions: Conditions, search: tuple[str, ...]) -> None:
        super().__init__(world, conditions, search)
        self._run: dict[type, Callable[..., bool | None]] = {
            p.ImportModule: self._import_module,
            p.ImportNames: self._import_names,
            p.Bind: self._bind_unknown,
            p.Alias: self._alias,
            p.ExtendAll: self._extend_all,
            p.Use: self._use,
            p.Delete: self._delete,
            p.Define: self._define,
            p.DefineClass: self._define_class,
            p.Either: self._either,
            p.Attempt: self._attempt,
            p.Leave: self._leave,
            p.Obscure: self._obscure,
        }

    def copy(self) -> Simulation:
        """Return an interpreter in the same state, to go on from."""
        twin = Simulation(self._world, self._conditions, self._search)
        twin.modules = dict(self.modules)
        twin._removed = dict(self._removed)
        twin._objects = {number: module.copy() for number, module in self._objects.items()}
        return twin

    def enter(self, name: str) -> Failed | None:
        """Import a module by name; return the exception, or None."""
        with _deep_recursion():
            try:
                self._load(name)
            except Failure as failure:
                return failure.failed
        return None

    def _block(self, block: p.Block, frame: Frame) -> bool:
        """Run instructions; True where the block was left by `return`."""
        return any(self._run[type(item)](item, frame) for item in block)

    def _bind_unknown(self, item: p.Bind, frame: Frame) -> None:
        for name in item.names:
            self._bind(frame, name, None)

    def _alias(self, item: p.Alias, frame: Frame) -> None:
        self._bind(frame, item.name, self._follow(item.chain, item, frame))

    def _extend_all(self, item: p.ExtendAll, frame: Frame) -> None:
        before = () if item.fresh else frame.module.names.get("__all__")
        known = isinstance(before, tuple) and item.names is not None
        self._bind(frame, "__all__", (*before, *item.names) if known else None)  # type: ignore[misc]

    def _use(self, item: p.Use, frame: Frame) -> None:
        value = self._follow(item.chain, item, frame)
        if item.call and isinstance(value, FunctionRef) and frame.depth < _CALL_DEPTH:
            self._call(value, frame)

    def _call(self, value: FunctionRef, frame: Frame) -> None:
        block = lower_function(value.function, self._conditions)
        module = self._objects[value.module]
        running = self._stack[-1] if self._stack else module
        inner = Frame(
            module,
            locals={},
            owned=value.function.locals or frozenset({""}),
            foreign=running is not module or value.travelled,
            depth=frame.depth + 1,
        )
        self._block(block, inner)

    def _delete(self, item: p.Delete, frame: Frame) -> None:
        names = frame.locals if frame.locals is not None else frame.module.names
        for name in item.names:
            names.pop(name, None)

    def _define(self, item: p.Define, frame: Frame) -> None:
        self._bind(frame, item.name, FunctionRef(frame.module.number, item.function))

    def _define_class(self, item: p.DefineClass, frame: Frame) -> None:
        self._block(item.body, Frame(frame.module, {}, foreign=frame.foreign, depth=frame.depth, guards=frame.guards))
        value = None
        if item.followed and item.initialiser is not None:
            value = FunctionRef(frame.module.number, item.initialiser)
        self._bind(frame, item.name, value)

    def _either(self, item: p.Either, frame: Frame) -> bool:
        left = []
        for block in item.blocks:
            try:
                left.append(self._block(block, frame))
            except Failure:  # perhaps this block never runs
                left.append(False)
        for name in item.binds:
            if frame.locals is None and name not in frame.module.names:
                self._bind(frame, name, None)
        return all(left)

    def _attempt(self, item: p.Attempt, frame: Frame) -> bool:
        try:
            left = self._guarded(item, frame)
        except Failure as failure:
            left = self._handle(item, failure.failed, frame)
        else:
            left = left or self._block(item.otherwise, frame)
        return self._block(item.final, frame) or left

    def _guarded(self, item: p.Attempt, frame: Frame) -> bool:
        before = len(frame.guards)
        frame.guards += [handler.types for handler in item.handlers]
        try:
            return self._block(item.body, frame)
        finally:
            del frame.guards[before:]

    def _handle(self, item: p.Attempt, failed: Failed, frame: Frame) -> bool:
        handler = next((handler for handler in item.handlers if catches(handler.types, failed.kind)), None)
        if handler is None:
            self._block(item.final, frame)
            raise Failure(failed)
        if failed.ring:
            for name in item.binds:
                self._lose(frame, name, failed)
        if handler.name:
            self._bind(frame, handler.name, None)
        frame.caught.append(failed)
        try:
            return self._block(handler.body, frame)
        finally:
            frame.caught.pop()

    def _leave(self, item: p.Leave, frame: Frame) -> bool:
        if item.raises is None:
            return True
        if frame.caught:
            failed = frame.caught[-1]
            raise Failure(failed if not item.raises else as_kind(failed, item.raises))
        raise Failure(Failed(item.raises, "", frame.module.name, frame.module.file or "", 0, "raise", ()))

    def _obscure(self, _item: p.Obscure, frame: Frame) -> None:
        self._blur(frame)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Allow import chains as long as CPython's own limit would, and restore the limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
