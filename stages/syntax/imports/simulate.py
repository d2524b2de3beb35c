"""Decides whether importing a module first, in a fresh interpreter, raises because of a cycle: CPython's steps, dry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stages.syntax.imports import program as p
from stages.syntax.imports.lower import lower_function

if TYPE_CHECKING:
    from stages._source.folders import Found
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.world import World

_CALL_DEPTH = 6
_RECURSION = 50_000  # one level of import nests about eight of our frames
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


Value = ModuleRef | FunctionRef | tuple[str, ...] | None  # a tuple is an `__all__`; None is a value not followed


@dataclass(slots=True)
class Module:
    """A simulated module object."""

    number: int
    name: str
    file: str | None  # relative to the root; None outside the project and for namespace packages
    state: Literal["initialising", "complete"]
    followed: bool  # its code is simulated; otherwise any attribute may be there
    package: bool
    names: dict[str, Value] = field(default_factory=dict)
    lost: dict[str, Failed] = field(default_factory=dict)  # names a caught failure or early star import left out

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


class Simulation:
    """One fresh interpreter. `modules` is its sys.modules."""

    def __init__(self, world: World, conditions: Conditions, search: tuple[str, ...]) -> None:
        self._world = world
        self._conditions = conditions
        self._search = search
        self.modules: dict[str, int] = {}
        self._objects: dict[int, Module] = {}
        self._stack: list[Module] = []
        self._removed: dict[str, Failed] = {}
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

    # --- importlib -----------------------------------------------------------------------------------------------

    def _load(self, name: str) -> Module | None:
        """Return the module, initialising it if need be; None for one outside the project."""
        if name in self.modules:
            return self._objects[self.modules[name]]
        parent = name.rpartition(".")[0]
        if parent:
            above = self._load(parent)
            if name in self.modules:
                return self._objects[self.modules[name]]
            if above is None:
                return None
        found = self._world.find(name, self._search)
        if found is None:
            return None
        module = self._initialise(name, found)
        if parent and parent in self.modules:
            above = self._objects[self.modules[parent]]
            above.names[name.rpartition(".")[2]] = ModuleRef(module.number)
            above.lost.pop(name.rpartition(".")[2], None)
        return module

    def _initialise(self, name: str, found: Found) -> Module:
        file = self._world.path_of(found)
        block = self._world.program(file) if file is not None else None
        package = bool(found.folders)
        state: Literal["initialising", "complete"] = "complete" if block is None else "initialising"
        followed = block is not None or found.kind == "namespace"
        module = Module(len(self._objects), name, file, state, followed, package)
        self._objects[module.number] = module
        self.modules[name] = module.number
        if block is not None:
            self._stack.append(module)
            try:
                self._block(block, Frame(module))
            except Failure as failure:
                del self.modules[name]
                self._removed[name] = failure.failed
                raise
            finally:
                self._stack.pop()
                module.state = "complete"
        return module

    def _import_module(self, item: p.ImportModule, frame: Frame) -> None:
        loaded = self._load(item.name)
        top, *rest = item.name.split(".")
        if loaded is None and self._world.find(item.name, self._search) is None:
            self._missing(item.name, item, frame)
        above = self._load(top)  # again, where it failed before and only its submodule stayed
        value: Value = None if above is None else ModuleRef(above.number)
        if item.alias is None:
            self._bind(frame, top, value)
            return
        for part in rest:
            value = self._import_from(value, part, item, frame)
        self._bind(frame, item.alias, value)

    def _import_names(self, item: p.ImportNames, frame: Frame) -> None:
        name = self._absolute(item, frame)
        if name is None:
            self._missing(item.module, item, frame)
            self._bind_all(frame, item)
            return
        module = self._load(name)
        if module is None:
            if self._world.is_missing(name, self._search):
                self._missing(name, item, frame)
            self._bind_all(frame, item)
            return
        if module.package:
            self._load_submodules(module, [wanted for wanted, _ in item.names])
        for wanted, bound in item.names:
            if wanted == "*":
                self._import_star(module, item, frame)
            else:
                self._bind(frame, bound, self._import_from(ModuleRef(module.number), wanted, item, frame))

    def _absolute(self, item: p.ImportNames, frame: Frame) -> str | None:
        if not item.level:
            return item.module
        name = frame.module.name if frame.module.package else frame.module.name.rpartition(".")[0]
        for _ in range(item.level - 1):
            name = name.rpartition(".")[0]
        if not name:
            return None
        return f"{name}.{item.module}" if item.module else name

    def _bind_all(self, frame: Frame, item: p.ImportNames) -> None:
        for wanted, bound in item.names:
            if wanted == "*":
                self._blur(frame)
            else:
                self._bind(frame, bound, None)

    def _load_submodules(self, module: Module, names: list[str]) -> None:
        for name in names:
            if name == "*":
                listed = module.names.get("__all__")
                if isinstance(listed, tuple):
                    self._load_submodules(module, [item for item in listed if item != "*"])
            elif not self._has(module, name):
                full = f"{module.name}.{name}"
                if full in self.modules or self._world.find(full, self._search) is not None:
                    self._load(full)

    def _has(self, module: Module, name: str) -> bool:
        if name in module.names:
            return True
        return not module.followed and self._world.binds(module.file, name)

    def _may_have(self, module: Module, name: str) -> bool:
        """Say whether a name that is not bound may be there all the same."""
        if not module.followed or "*" in module.names:
            return True
        return "__getattr__" in module.names and self._world.serves(module.file, name)

    def _import_from(self, value: Value, name: str, item: p.ImportModule | p.ImportNames, frame: Frame) -> Value:
        if not isinstance(value, ModuleRef):
            return None
        module = self._objects[value.number]
        if name in module.names:
            return _taken(module.names[name], module)
        full = f"{module.name}.{name}"
        if full in self.modules:
            return ModuleRef(self.modules[full])
        if self._may_have(module, name):
            return None
        if name in module.lost:
            message = f"cannot import name '{name}' from '{module.name}'"
            raise self._failure("ImportError", message, item, frame, module.lost[name].ring)
        if module.state == "initialising" and self._world.would_have(module.file, name):
            message = (
                f"cannot import name '{name}' from partially initialized module '{module.name}' "
                "(most likely due to a circular import)"
            )
            raise self._failure("ImportError", message, item, frame, self._ring(module))
        self._missing(full, item, frame, kind="ImportError")
        return None

    def _import_star(self, module: Module, item: p.ImportNames, frame: Frame) -> None:
        listed = module.names.get("__all__") if module.followed else None
        if isinstance(listed, tuple):
            for name in listed:
                self._bind(frame, name, self._attribute(ModuleRef(module.number), name, item, frame))
            return
        everything = self._world.star(module.file)
        if not module.followed or "*" in module.names or "__all__" in module.names:
            self._bind_known(frame, everything)
            return
        ring = self._ring(module) if module.state == "initialising" else ()
        for name, value in list(module.names.items()):
            if not name.startswith("_"):
                self._bind(frame, name, _taken(value, module))
        wanted = self._world.bound_publicly(module.file) if everything is None else everything
        for name in wanted - set(module.names):
            cause = module.lost.get(name)
            if ring or cause:
                self._lose(frame, name, cause or self._failed("NameError", "", item, frame, ring))
        if everything is None:
            self._blur(frame)

    def _bind_known(self, frame: Frame, names: frozenset[str] | None) -> None:
        if names is None:
            self._blur(frame)
        for name in names or ():
            self._bind(frame, name, None)

    # --- names ---------------------------------------------------------------------------------------------------

    def _bind(self, frame: Frame, name: str, value: Value) -> None:
        if frame.locals is not None and (name in frame.owned or not frame.owned):
            frame.locals[name] = value
        else:
            frame.module.names[name] = value
            frame.module.lost.pop(name, None)

    def _lose(self, frame: Frame, name: str, cause: Failed) -> None:
        if frame.locals is None and name not in frame.module.names:
            frame.module.lost[name] = cause

    def _blur(self, frame: Frame) -> None:
        """From now on any name may be in the module: "*" marks it."""
        if frame.locals is None:
            frame.module.names["*"] = None

    def _read(self, name: str, item: p.Use | p.Alias, frame: Frame) -> Value:
        if frame.locals is not None:
            if name in frame.locals:
                return frame.locals[name]
            if name in frame.owned:
                return None
        module = frame.module
        if name in module.names:
            return module.names[name]
        message = f"name '{name}' is not defined"
        if name in module.lost and not self._world.is_builtin(name):
            raise self._failure("NameError", message, item, frame, module.lost[name].ring)
        if "*" in module.names or self._world.is_builtin(name):
            return None
        if frame.foreign and module.state == "initialising" and self._world.would_have(module.file, name):
            raise self._failure("NameError", message, item, frame, self._ring(module))
        return None

    def _attribute(self, value: Value, name: str, item: p.Use | p.Alias | p.ImportNames, frame: Frame) -> Value:
        if not isinstance(value, ModuleRef):
            return None
        module = self._objects[value.number]
        if name in module.names:
            return _taken(module.names[name], module)
        if name.startswith("__"):
            return None
        if not module.followed and not self._world.offers(module.file, name):
            self._check_submodule(module, name, item, frame)
        if self._may_have(module, name):
            return None
        if name in module.lost:
            message = f"module '{module.name}' has no attribute '{name}'"
            raise self._failure("AttributeError", message, item, frame, module.lost[name].ring)
        if module.state == "initialising" and self._world.would_have(module.file, name):
            raise self._failure("AttributeError", self._attribute_message(module, name), item, frame, self._ring(module))
        self._check_submodule(module, name, item, frame)
        return None

    def _check_submodule(
        self, module: Module, name: str, item: p.Use | p.Alias | p.ImportNames, frame: Frame
    ) -> None:
        """Fail where a submodule has begun to load and is therefore not yet an attribute of its package."""
        full = f"{module.name}.{name}"
        if full not in self.modules:
            return
        submodule = self._objects[self.modules[full]]
        if submodule.state == "initialising":
            message = f"cannot access submodule '{name}' of module '{module.name}' (most likely due to a circular import)"
            if module.state == "initialising":
                message = self._attribute_message(module, name)
            raise self._failure("AttributeError", message, item, frame, self._ring(submodule))
        if module.name in self._removed:  # loaded again after a failure: the new package does not know its old parts
            message = f"module '{module.name}' has no attribute '{name}'"
            raise self._failure("AttributeError", message, item, frame, self._removed[module.name].ring)

    def _attribute_message(self, module: Module, name: str) -> str:
        return (
            f"partially initialized module '{module.name}' has no attribute '{name}' "
            "(most likely due to a circular import)"
        )

    def _follow(self, chain: p.Chain, item: p.Use | p.Alias, frame: Frame) -> Value:
        value = self._read(chain[0], item, frame)
        for name in chain[1:]:
            value = self._attribute(value, name, item, frame)
        return value

    # --- statements ----------------------------------------------------------------------------------------------

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
        frame.guards += [handler.types for handler in item.handlers]
        try:
            left = self._block(item.body, frame)
        except Failure as failure:
            left = self._handle(item, failure.failed, frame)
        else:
            left = left or self._block(item.otherwise, frame)
        finally:
            if item.handlers:
                del frame.guards[-len(item.handlers) :]
        return self._block(item.final, frame) or left

    def _handle(self, item: p.Attempt, failed: Failed, frame: Frame) -> bool:
        handler = next((handler for handler in item.handlers if _catches(handler.types, failed.kind)), None)
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
            raise Failure(failed if not item.raises else _as(failed, item.raises))
        raise Failure(Failed(item.raises, "", frame.module.name, frame.module.file or "", 0, "raise", ()))

    def _obscure(self, _item: p.Obscure, frame: Frame) -> None:
        self._blur(frame)

    # --- failures ------------------------------------------------------------------------------------------------

    def _missing(
        self, name: str, item: p.ImportModule | p.ImportNames, frame: Frame, kind: str = "ModuleNotFoundError"
    ) -> None:
        """What is missing for everyone is no cycle's doing: it fails only where the code is prepared for that."""
        if any(_catches(types, kind) for types in frame.guards):
            raise self._failure(kind, f"No module named '{name}'", item, frame, ())

    def _ring(self, module: Module) -> tuple[str, ...]:
        """Return the files from the half-initialised module up to the running one."""
        numbers = [item.number for item in self._stack]
        start = numbers.index(module.number) if module.number in numbers else 0
        return tuple(item.file for item in self._stack[start:] if item.file is not None)

    def _failed(
        self, kind: str, message: str, item: p.Use | p.Alias | p.ImportModule | p.ImportNames, frame: Frame,
        ring: tuple[str, ...],
    ) -> Failed:  # fmt: skip
        module = frame.module
        return Failed(kind, message, module.name, module.file or "", item.line, item.text, ring)

    def _failure(
        self, kind: str, message: str, item: p.Use | p.Alias | p.ImportModule | p.ImportNames, frame: Frame,
        ring: tuple[str, ...],
    ) -> Failure:  # fmt: skip
        return Failure(self._failed(kind, message, item, frame, ring))


def _taken(value: Value, source: Module) -> Value:
    if isinstance(value, FunctionRef) and value.module != source.number:
        return FunctionRef(value.module, value.function, travelled=True)
    return value


def _catches(types: frozenset[str] | None, kind: str) -> bool:
    if types is None:
        return True
    return not types.isdisjoint(_CAUGHT_BY.get(kind, frozenset({kind, "Exception", "BaseException"})))


def _as(failed: Failed, kind: str) -> Failed:
    return Failed(kind, failed.message, failed.module, failed.path, failed.line, failed.statement, failed.ring)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Allow import chains as long as CPython's own limit would, and restore the limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
