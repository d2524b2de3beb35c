"""Decides whether importing a module first, in a fresh interpreter, raises because of a cycle: its statements, dry."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages.syntax.imports import program as p
from stages.syntax.imports.import_system import ImportSystem
from stages.syntax.imports.lower import lower_function
from stages.syntax.imports.reading import CALL_DEPTH
from stages.syntax.imports.simulated import (
    Failed,
    Failure,
    Frame,
    FunctionRef,
    Literal,
    ModuleRef,
    Outside,
    Standard,
    Thing,
    as_kind,
    catches,
)
from stages.syntax.imports.values import View, truth, worth

if TYPE_CHECKING:
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.simulated import Value
    from stages.syntax.imports.world import World

_RECURSION = 50_000  # one level of import nests about eight of our frames


class Simulation(ImportSystem):
    """One fresh interpreter. `modules` is its sys.modules."""

    def __init__(self, world: World, conditions: Conditions, search: tuple[str, ...]) -> None:
        super().__init__(world, conditions, search)
        self._run: dict[type, Callable[..., bool | None]] = {
            p.ImportModule: self._import_module,
            p.ImportNames: self._import_names,
            p.ImportCall: self._import_call,
            p.Bind: self._bind_unknown,
            p.Alias: self._alias,
            p.Assign: self._assign,
            p.SetAttribute: self._set_attribute,
            p.ExtendAll: self._extend_all,
            p.Use: self._use,
            p.Delete: self._delete,
            p.Define: self._define,
            p.DefineClass: self._define_class,
            p.Either: self._either,
            p.Branch: self._branch,
            p.Forget: self._forget,
            p.Attempt: self._attempt,
            p.Leave: self._leave,
            p.Obscure: self._obscure,
        }

    def copy(self) -> Simulation:
        """Return an interpreter in the same state, to go on from."""
        twin = Simulation(self._world, self._conditions, self._search)
        twin.modules = dict(self.modules)
        twin._removed = dict(self._removed)
        twin._results = dict(self._results)
        twin.doubts = self.doubts
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

    def _assign(self, item: p.Assign, frame: Frame) -> None:
        if isinstance(item.value, ast.Constant):
            self._bind(frame, item.name, Literal(item.value.value, _blamed(frame)))
            return
        found = worth(item.value, View(self, frame, self._conditions))
        value = found.value
        if isinstance(value, Literal):
            value = Literal(value.value, found.cause or _blamed(frame))
        self._bind(frame, item.name, value)

    def _set_attribute(self, item: p.SetAttribute, frame: Frame) -> None:
        owner = self._follow(item.chain, item, frame)
        if isinstance(owner, ModuleRef):
            self._bind(Frame(self._objects[owner.number]), item.name, None)

    def _extend_all(self, item: p.ExtendAll, frame: Frame) -> None:
        whole = () if item.fresh else frame.module.names.get("__all__")
        for part in item.parts or ():
            more = (part,) if isinstance(part, str) else self._follow(part.chain, item, frame)
            whole = (*whole, *more) if isinstance(whole, tuple) and isinstance(more, tuple) else None
        self._bind(frame, "__all__", whole if item.parts is not None else None)

    def _use(self, item: p.Use, frame: Frame) -> None:
        try:
            value = self._used(item, frame)
        except Failure as failure:
            if not item.quiet or failure.failed.kind != "AttributeError":
                raise
            value = None
        if not item.call:
            return
        if isinstance(value, FunctionRef) and frame.depth < CALL_DEPTH:
            self._call(value, frame)
        elif not isinstance(value, Standard) and (value is not None or not self._is_builtin(item, frame)):
            self.doubts += 1

    def _used(self, item: p.Use, frame: Frame) -> Value:
        if item.origin is None:
            return self._follow(item.chain, item, frame)
        value = worth(item.origin, View(self, frame, self._conditions)).value
        for name in item.chain:
            value = self._attribute(value, name, item, frame)
        return value

    def _is_builtin(self, item: p.Use, frame: Frame) -> bool:
        known = (frame.locals or {}).keys() | frame.module.names.keys()
        return item.origin is None and item.chain[0] not in known and self._world.is_builtin(item.chain[0])

    def _call(self, value: FunctionRef, frame: Frame, given: tuple[Value, ...] = ()) -> None:
        block = lower_function(value.function, self._conditions)
        module = self._objects[value.module]
        running = self._stack[-1] if self._stack else module
        inner = Frame(
            module,
            locals=dict(zip((item.arg for item in value.function.node.args.args), given, strict=False)),
            owned=value.function.locals or frozenset({""}),
            foreign=running is not module or value.travelled,
            depth=frame.depth + 1,
        )
        self._block(block, inner)

    def _delete(self, item: p.Delete, frame: Frame) -> None:
        for name in item.names:
            self._read(name, item, frame)
            local = frame.locals is not None and (name in frame.owned or not frame.owned)
            names = frame.locals if local and frame.locals is not None else frame.module.names
            names.pop(name, None)

    def _define(self, item: p.Define, frame: Frame) -> None:
        self._bind(frame, item.name, FunctionRef(frame.module.number, item.function))

    def _define_class(self, item: p.DefineClass, frame: Frame) -> None:
        self._block(item.body, Frame(frame.module, {}, foreign=frame.foreign, depth=frame.depth, guards=frame.guards))
        value: Value = Thing() if item.followed else None
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
        self._forget(item, frame)
        return all(left)

    def _branch(self, item: p.Branch, frame: Frame) -> bool:
        outcome, cause = truth(item.test, View(self, frame, self._conditions))
        if outcome is None:
            return self._either(p.Either((item.body, item.otherwise), item.binds), frame) if item.guess else False
        if cause is not None:
            for name in item.binds:
                self._lose(frame, name, cause)
            frame.causes.append(cause)
        try:
            return self._block(item.body if outcome else item.otherwise, frame)
        finally:
            if cause is not None:
                frame.causes.pop()

    def _forget(self, item: p.Forget | p.Either | p.Attempt, frame: Frame) -> None:
        """Take the values of names as unknown, except modules and functions."""
        for name in item.names if isinstance(item, p.Forget) else item.binds:
            for names in (frame.locals, frame.module.names):
                if names is not None and isinstance(names.get(name), Literal | Thing | Outside):
                    names[name] = None

    def _attempt(self, item: p.Attempt, frame: Frame) -> bool:
        doubts = self.doubts
        try:
            left = self._guarded(item, frame)
        except Failure as failure:
            left = self._handle(item, failure.failed, frame)
        else:
            left = left or self._block(item.otherwise, frame)
            if item.handlers and self.doubts > doubts:
                self._forget(item, frame)  # perhaps something failed that is not followed
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
        if frame.causes:
            raise Failure(as_kind(frame.causes[-1], item.raises or "RuntimeError"))
        raise Failure(Failed(item.raises, "", frame.module.name, frame.module.file or "", 0, "raise", ()))

    def _obscure(self, _item: p.Obscure, frame: Frame) -> None:
        self._blur(frame)


def _blamed(frame: Frame) -> Failed | None:
    """Return the failed import, or the cycle, that is why the running block runs."""
    if not frame.caught and not frame.causes:
        return None
    return next((failed for failed in (*reversed(frame.caught), *reversed(frame.causes)) if failed.ring), None)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Allow import chains as long as CPython's own limit would, and restore the limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
