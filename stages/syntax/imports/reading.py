"""Decides what reading a name, or an attribute of a module, gives at the moment, and where it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from stages.syntax.imports.simulated import (
    Failed,
    Failure,
    Frame,
    FunctionRef,
    Literal,
    Module,
    ModuleRef,
    Outside,
    Standard,
    Value,
    taken,
)

if TYPE_CHECKING:
    import ast

    from stages.syntax.imports import program as p
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.world import World

    Asking = p.Use | p.Alias | p.SetAttribute | p.ExtendAll | p.Delete
    Site = Asking | p.ImportModule | p.ImportNames | p.ImportCall


CALL_DEPTH = 6


class Reading(ABC):
    """Reads names from modules. `modules` is the sys.modules of one fresh interpreter."""

    def __init__(self, world: World, conditions: Conditions, search: tuple[str, ...]) -> None:
        self._world = world
        self._conditions = conditions
        self._search = search
        self.modules: dict[str, int] = {}
        self._objects: dict[int, Module] = {}
        self._stack: list[Module] = []
        self._removed: dict[str, Failed] = {}
        self._results: dict[ast.Call, Value] = {}
        self.doubts = 0  # how often something ran that may fail for reasons that are not followed

    @abstractmethod
    def _call(self, value: FunctionRef, frame: Frame, given: tuple[Value, ...] = ()) -> None:
        """Run a function's body."""

    def _has(self, module: Module, name: str) -> bool:
        if name in module.names:
            return True
        return not module.followed and self._world.binds(module.file, name)

    def _may_have(self, module: Module, name: str) -> bool:
        """Say whether a name that is not bound may be there all the same."""
        if not module.followed or "*" in module.names:
            return True
        return "__getattr__" in module.names and self._world.serves(module.file, name)

    def _outside(self, module: Module, name: str) -> Value:
        return Outside(module.file, name) if module.file is not None and not module.followed else None

    def look_up(self, chain: p.Chain, frame: Frame) -> Value:
        """Return what a name, or an attribute of it, holds; None where that is unknown. Nothing fails."""
        first, *rest = chain
        if frame.locals is not None and (first in frame.locals or first in frame.owned):
            value = frame.locals.get(first)
        else:
            value = frame.module.names.get(first)
        for name in rest:
            value = self.attribute(value, name)
        return value

    def attribute(self, value: Value, name: str) -> Value:
        """Return what an attribute holds, if it is there."""
        if not isinstance(value, ModuleRef):
            return value if isinstance(value, Standard) else None
        module = self._objects[value.number]
        return taken(module.names[name], module) if name in module.names else self._outside(module, name)

    def has(self, value: ModuleRef, name: str) -> bool | None:
        """Say whether a module has an attribute now; None where that is unknown."""
        module = self._objects[value.number]
        if self._has(module, name):
            return True
        if name.startswith("__") or module.file is None or not module.followed or "*" in module.names:
            return None
        if not self._may_have(module, name):
            return False
        return True if self._world.serves_plainly(module.file) else None

    def _ask(self, module: Module, name: str, frame: Frame) -> Value:
        """Return what a name that is not bound may be, after the module's `__getattr__` has run if it is plain."""
        function = module.names.get("__getattr__")
        known = module.followed and self._world.serves_plainly(module.file)
        if known and isinstance(function, FunctionRef) and frame.depth < CALL_DEPTH:
            self._call(function, frame, (Literal(name),))
        return self._outside(module, name)

    def why_without(self, value: ModuleRef, name: str) -> Failed | None:
        """Return the failure, or cycle, that keeps a module from having an attribute; None where it never has it."""
        module = self._objects[value.number]
        if name in module.lost or module.broken is not None:
            return module.lost.get(name) or module.broken
        if not module.is_short or not self._world.would_have(module.file, name):
            return None
        message = self._attribute_message(module, name)
        return Failed("AttributeError", message, module.name, module.file or "", 0, name, self._ring(module))

    def settled(self, value: Outside) -> Value:
        """Return what a module that is not followed plainly binds a name to."""
        return self._world.value(value.file, value.name)

    def imported(self, node: ast.Call) -> Value:
        """Return the module that a call has imported, if it was one that imports."""
        return self._results.get(node)

    def _bind(self, frame: Frame, name: str, value: Value) -> None:
        if frame.locals is not None and (name in frame.owned or not frame.owned):
            frame.locals[name] = value
        else:
            frame.module.names[name] = value
            frame.module.lost.pop(name, None)

    def _lose(self, frame: Frame, name: str, cause: Failed) -> None:
        if frame.locals is None and name not in frame.module.names and "*" not in frame.module.names:
            frame.module.lost[name] = cause

    def _read(self, name: str, item: Asking, frame: Frame) -> Value:
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
        if frame.foreign and module.is_short and self._world.would_have(module.file, name):
            raise self._failure("NameError", message, item, frame, self._ring(module))
        return None

    def _attribute(self, value: Value, name: str, item: Site, frame: Frame) -> Value:
        if not isinstance(value, ModuleRef):
            return value if isinstance(value, Standard) else None
        module = self._objects[value.number]
        if name in module.names:
            return taken(module.names[name], module)
        if name.startswith("__") and name != "__all__":
            return None
        if not module.followed and not self._world.offers(module.file, name):
            self._check_submodule(module, name, item, frame)
        if self._may_have(module, name):
            return self._ask(module, name, frame)
        if name in module.lost:
            message = self._absent(module, name)
            raise self._failure("AttributeError", message, item, frame, module.lost[name].ring)
        if module.is_short and self._world.would_have(module.file, name):
            raise self._failure(
                "AttributeError", self._attribute_message(module, name), item, frame, self._ring(module)
            )
        self._check_submodule(module, name, item, frame)
        return None

    def _check_submodule(self, module: Module, name: str, item: Site, frame: Frame) -> None:
        """Fail where a submodule has begun to load and is therefore not yet an attribute of its package."""
        full = f"{module.name}.{name}"
        if full not in self.modules:
            if self._world.strict and module.followed and self._world.find(full, self._search) is not None:
                message = self._absent(module, name)
                raise self._failure("AttributeError", message, item, frame, self._ring(module))
            return
        submodule = self._objects[self.modules[full]]
        if submodule.state == "initialising":
            message = (
                f"cannot access submodule '{name}' of module '{module.name}' (most likely due to a circular import)"
            )
            if module.state == "initialising" or "__getattr__" in module.names:
                message = self._attribute_message(module, name)
            raise self._failure("AttributeError", message, item, frame, self._ring(submodule))
        if module.name in self._removed:  # loaded again after a failure: the new package does not know its old parts
            message = self._absent(module, name)
            raise self._failure("AttributeError", message, item, frame, self._removed[module.name].ring)

    def _absent(self, module: Module, name: str) -> str:
        if "__getattr__" in module.names:  # the exception is its own, and its words are not known
            return f"the __getattr__ of module '{module.name}' does not answer for '{name}'"
        return f"module '{module.name}' has no attribute '{name}'"

    def _attribute_message(self, module: Module, name: str) -> str:
        if module.broken is not None or "__getattr__" in module.names:
            return self._absent(module, name)
        return (
            f"partially initialized module '{module.name}' has no attribute '{name}' "
            "(most likely due to a circular import)"
        )

    def _follow(self, chain: p.Chain, item: Asking, frame: Frame) -> Value:
        value = self._read(chain[0], item, frame)
        for name in chain[1:]:
            value = self._attribute(value, name, item, frame)
        return value

    def _ring(self, module: Module) -> tuple[str, ...]:
        """Return the files from the half-initialised module up to the running one."""
        if module.broken is not None:
            return module.broken.ring
        numbers = [item.number for item in self._stack]
        start = numbers.index(module.number) if module.number in numbers else 0
        return tuple(item.file for item in self._stack[start:] if item.file is not None)

    def _failed(
        self, kind: str, message: str, item: Site, frame: Frame,
        ring: tuple[str, ...],
    ) -> Failed:  # fmt: skip
        module = frame.module
        return Failed(kind, message, module.name, module.file or "", item.line, item.text, ring)

    def _failure(
        self, kind: str, message: str, item: Site, frame: Frame,
        ring: tuple[str, ...],
    ) -> Failure:  # fmt: skip
        return Failure(self._failed(kind, message, item, frame, ring))
