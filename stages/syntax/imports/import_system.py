"""Decides what an import statement does to modules: CPython's import system, step by step, on simulated modules."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from stages.syntax.imports.named_imports import absolute_name
from stages.syntax.imports.reading import Reading
from stages.syntax.imports.simulated import (
    Failure,
    Frame,
    Literal,
    Module,
    ModuleRef,
    Standard,
    Value,
    catches,
    taken,
)

if TYPE_CHECKING:
    from stages._source.folders import Found
    from stages.syntax.imports import program as p
    from stages.syntax.imports.named_imports import Called
    from stages.syntax.imports.reading import Site


class ImportSystem(Reading):
    """Loads modules."""

    @abstractmethod
    def _block(self, block: p.Block, frame: Frame) -> bool:
        """Run instructions; True where the block was left by `return`."""

    def _load(self, name: str, site: tuple[Site, Frame] | None = None) -> Module | None:
        """Return the module, initialising it if need be; None for one outside the project."""
        if name in self.modules:
            return self._objects[self.modules[name]]
        parent = name.rpartition(".")[0]
        if parent:
            above = self._load(parent, site)
            if name in self.modules:
                return self._objects[self.modules[name]]
            if above is None:
                return None
            self._check_portions(above, site)
        found = self._world.find(name, self._search)
        if found is None:
            self.doubts += not self._world.is_standard(name) and not self._world.is_missing(name, self._search)
            return None
        module = self._initialise(name, found)
        if parent and parent in self.modules:
            above = self._objects[self.modules[parent]]
            above.names[name.rpartition(".")[2]] = ModuleRef(module.number)
            above.lost.pop(name.rpartition(".")[2], None)
        return module

    def _check_portions(self, above: Module, site: tuple[Site, Frame] | None) -> None:
        """Fail where a package without `__init__` must look for its folders in a parent that did not load."""
        parent = above.name.rpartition(".")[0]
        if site is not None and above.package and above.file is None and parent in self._removed.keys() - self.modules:
            raise self._failure("KeyError", f"'{parent}'", *site, self._removed[parent].ring)

    def _initialise(self, name: str, found: Found) -> Module:
        file = self._world.path_of(found)
        block = self._world.program(file) if file is not None else None
        package = bool(found.folders)
        state: OneOf["initialising", "complete"] = "complete" if block is None else "initialising"
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
        loaded = self._load(item.name, (item, frame))
        top, *rest = item.name.split(".")
        if loaded is None and self._world.is_missing(item.name, self._search):
            self._missing(item.name, item, frame)
        above = self._load(top, (item, frame))  # again, where it failed before and only its submodule stayed
        value = self._outside_value(item.name) if above is None else ModuleRef(above.number)
        if item.alias is None:
            self._bind(frame, top, value)
            return
        for part in rest:
            value = self._import_from(value, part, item, frame)
        self._bind(frame, item.alias, value)

    def _import_call(self, item: p.ImportCall, frame: Frame) -> None:
        name = self._named_by(item, frame)
        loaded = self._load(name, (item, frame)) if name else None
        if name and loaded is None and self._world.is_missing(name, self._search):
            self._missing(name, item, frame)
        top = loaded if item.whole or not name else self._load(name.partition(".")[0])
        self._results[item.node] = None if top is None else ModuleRef(top.number)
        self.doubts += not name

    def _named_by(self, item: p.ImportCall | Called, frame: Frame) -> str:
        module = frame.module
        package = module.name if module.package else module.name.rpartition(".")[0]
        given = {"__package__": package, "__name__": module.name}
        return absolute_name(item.name, item.level, given.get(item.base, item.base))

    def _import_names(self, item: p.ImportNames, frame: Frame) -> None:
        name = self._absolute(item, frame)
        if name is None:
            self._missing(item.module, item, frame)
            self._bind_all(frame, item)
            return
        module = self._load(name, (item, frame))
        if module is None:
            if self._world.is_missing(name, self._search):
                self._missing(name, item, frame)
            self._bind_all(frame, item, self._outside_value(name))
            return
        if module.package:
            self._load_submodules(module, [wanted for wanted, _ in item.names], (item, frame))
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

    def _ask_quietly(self, module: Module, name: str, frame: Frame) -> None:
        try:
            self._ask(module, name, frame)
        except Failure as failure:
            if failure.failed.kind != "AttributeError":
                raise

    def _outside_value(self, name: str) -> Value:
        """Return what stands for a module outside the project; importlib may run anything."""
        trusted = not name.startswith("importlib") and self._world.is_standard(name)
        return Standard() if trusted else None

    def _bind_all(self, frame: Frame, item: p.ImportNames, value: Value = None) -> None:
        for wanted, bound in item.names:
            if wanted == "*":
                self._blur(frame)
            else:
                self._bind(frame, bound, value)

    def _load_submodules(self, module: Module, names: list[str], site: tuple[Site, Frame]) -> None:
        for name in names:
            if name == "*":
                listed = module.names.get("__all__")
                if isinstance(listed, tuple):
                    self._load_submodules(module, [item for item in listed if item != "*"], site)
            elif not self._has(module, name):
                full = f"{module.name}.{name}"
                if self._may_have(module, name):
                    self._ask_quietly(module, name, site[1])
                if full in self.modules or self._world.find(full, self._search) is not None:
                    self._load(full, site)

    def _import_from(self, value: Value, name: str, item: p.ImportModule | p.ImportNames, frame: Frame) -> Value:
        if not isinstance(value, ModuleRef):
            return value if isinstance(value, Standard) else None
        module = self._objects[value.number]
        if name in module.names:
            return taken(module.names[name], module)
        full = f"{module.name}.{name}"
        if full in self.modules:
            return ModuleRef(self.modules[full])
        if full in self._removed and not self._world.offers(module.file, name):
            raise self._cannot_import(module, name, item, frame, self._removed[full].ring)
        if self._may_have(module, name):
            try:
                return self._ask(module, name, frame)
            except Failure as failure:
                if failure.failed.kind != "AttributeError":
                    raise
                raise self._cannot_import(module, name, item, frame, failure.failed.ring) from failure
        if name in module.lost:
            raise self._cannot_import(module, name, item, frame, module.lost[name].ring)
        if module.is_short and self._world.would_have(module.file, name):
            raise self._cannot_import(module, name, item, frame, self._ring(module))
        self._missing(full, item, frame, kind="ImportError")
        return None

    def _cannot_import(
        self, module: Module, name: str, item: p.ImportModule | p.ImportNames, frame: Frame, ring: tuple[str, ...]
    ) -> Failure:
        message = f"cannot import name '{name}' from '{module.name}'"
        if module.state == "initialising":
            message = (
                f"cannot import name '{name}' from partially initialized module '{module.name}' "
                "(most likely due to a circular import)"
            )
        return self._failure("ImportError", message, item, frame, ring)

    def _import_star(self, module: Module, item: p.ImportNames, frame: Frame) -> None:
        listed = module.names.get("__all__")
        unknown = "*" in module.names or ("__all__" in module.names and not isinstance(listed, tuple))
        if not module.followed or unknown:
            self._bind_known(frame, self._world.star(module.file))
            return
        if isinstance(listed, tuple):
            brought = set(listed)
            for name in listed:
                self._bind(frame, name, self._attribute(ModuleRef(module.number), name, item, frame))
        else:
            brought = {name for name in module.names if not name.startswith("_")}
            for name in sorted(brought):
                self._bind(frame, name, taken(module.names[name], module))
        if not module.is_short and not module.lost:
            return
        ring = self._ring(module) if module.is_short else ()
        everything = self._world.star(module.file)
        wanted = self._world.bound_publicly(module.file) if everything is None else everything
        for name in sorted(wanted - brought):
            cause = module.lost.get(name)
            if ring or cause:
                self._lose(frame, name, cause or self._failed("NameError", "", item, frame, ring))

    def _bind_known(self, frame: Frame, names: frozenset[str] | None) -> None:
        if names is None:
            self._blur(frame)
        for name in names or ():
            self._bind(frame, name, None)

    def _blur(self, frame: Frame) -> None:
        """From now on any name may be in the module: "*" marks it."""
        if frame.locals is None:
            names = frame.module.names
            frame.module.lost.clear()
            names.update({name: None for name, value in names.items() if isinstance(value, Literal)})
            names["*"] = None

    def _missing(
        self,
        name: str,
        item: p.ImportModule | p.ImportNames | p.ImportCall,
        frame: Frame,
        kind: str = "ModuleNotFoundError",
    ) -> None:
        """Fail only where the code is prepared for it: what is missing for everyone is no cycle's doing."""
        if any(catches(types, kind) for types in frame.guards):
            raise self._failure(kind, f"No module named '{name}'", item, frame, ())
        self.doubts += 1
