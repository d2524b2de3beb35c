"""Decides what an import statement does to modules: CPython's import system, step by step, on simulated modules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from stages.syntax.imports.simulated import (
    Failed,
    Failure,
    Frame,
    Module,
    ModuleRef,
    Value,
    catches,
    taken,
)

if TYPE_CHECKING:
    from stages._source.folders import Found
    from stages.syntax.imports import program as p
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.world import World

    Site = p.Use | p.Alias | p.ImportModule | p.ImportNames


class ImportSystem(ABC):
    """Loads modules and reads names from them. `modules` is the sys.modules of one fresh interpreter."""

    def __init__(self, world: World, conditions: Conditions, search: tuple[str, ...]) -> None:
        self._world = world
        self._conditions = conditions
        self._search = search
        self.modules: dict[str, int] = {}
        self._objects: dict[int, Module] = {}
        self._stack: list[Module] = []
        self._removed: dict[str, Failed] = {}

    @abstractmethod
    def _block(self, block: p.Block, frame: Frame) -> bool:
        """Run instructions; True where the block was left by `return`."""

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
                self._removed[name] = module.broken = failure.failed
                raise
            finally:
                self._stack.pop()
                module.state = "complete"
        return module

    def _import_module(self, item: p.ImportModule, frame: Frame) -> None:
        loaded = self._load(item.name)
        top, *rest = item.name.split(".")
        if loaded is None and self._world.is_missing(item.name, self._search):
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
            return taken(module.names[name], module)
        full = f"{module.name}.{name}"
        if full in self.modules:
            return ModuleRef(self.modules[full])
        if full in self._removed and not self._world.offers(module.file, name):
            message = f"cannot import name '{name}' from '{module.name}'"
            raise self._failure("ImportError", message, item, frame, self._removed[full].ring)
        if self._may_have(module, name):
            return None
        if name in module.lost:
            message = f"cannot import name '{name}' from '{module.name}'"
            raise self._failure("ImportError", message, item, frame, module.lost[name].ring)
        if module.is_short and self._world.would_have(module.file, name):
            message = f"cannot import name '{name}' from '{module.name}'"
            if module.broken is None:
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
        ring = self._ring(module) if module.is_short else ()
        for name, value in list(module.names.items()):
            if not name.startswith("_"):
                self._bind(frame, name, taken(value, module))
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
        if frame.foreign and module.is_short and self._world.would_have(module.file, name):
            raise self._failure("NameError", message, item, frame, self._ring(module))
        return None

    def _attribute(self, value: Value, name: str, item: p.Use | p.Alias | p.ImportNames, frame: Frame) -> Value:
        if not isinstance(value, ModuleRef):
            return None
        module = self._objects[value.number]
        if name in module.names:
            return taken(module.names[name], module)
        if name.startswith("__"):
            return None
        if not module.followed and not self._world.offers(module.file, name):
            self._check_submodule(module, name, item, frame)
        if self._may_have(module, name):
            return None
        if name in module.lost:
            message = self._absent(module, name)
            raise self._failure("AttributeError", message, item, frame, module.lost[name].ring)
        if module.is_short and self._world.would_have(module.file, name):
            raise self._failure(
                "AttributeError", self._attribute_message(module, name), item, frame, self._ring(module)
            )
        self._check_submodule(module, name, item, frame)
        return None

    def _check_submodule(self, module: Module, name: str, item: p.Use | p.Alias | p.ImportNames, frame: Frame) -> None:
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

    def _follow(self, chain: p.Chain, item: p.Use | p.Alias, frame: Frame) -> Value:
        value = self._read(chain[0], item, frame)
        for name in chain[1:]:
            value = self._attribute(value, name, item, frame)
        return value

    def _missing(
        self, name: str, item: p.ImportModule | p.ImportNames, frame: Frame, kind: str = "ModuleNotFoundError"
    ) -> None:
        """Fail only where the code is prepared for it: what is missing for everyone is no cycle's doing."""
        if any(catches(types, kind) for types in frame.guards):
            raise self._failure(kind, f"No module named '{name}'", item, frame, ())

    def _ring(self, module: Module) -> tuple[str, ...]:
        """Return the files from the half-initialised module up to the running one."""
        if module.broken is not None:
            return module.broken.ring
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
