"""Decides what the simulated interpreter finds: programs of the modules it follows, and what others would offer."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from stages.syntax.imports.built import BuiltModules
from stages.syntax.imports.conditions import literal_constants, names_declared_global
from stages.syntax.imports.lower import binds, lower_module
from stages.syntax.imports.module_getattr import Served, served_names
from stages.syntax.imports.values import literal_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Mapping

    from stages._source.folders import Found
    from stages.syntax.imports import program as p
    from stages.syntax.imports.conditions import Conditions
    from stages.syntax.imports.exports import Exports
    from stages.syntax.imports.places import Locator
    from stages.syntax.imports.simulated import Value


class World:
    """The project as the simulation sees it. `followed` files are run; all others are taken as complete."""

    def __init__(
        self,
        locator: Locator,
        exports: Exports,
        conditions: Conditions,
        tree_of: Callable[[str], ast.Module | None],
        eager: Mapping[str, Iterable[str]],
        followed: Iterable[str],
    ) -> None:
        self._locator = locator
        self._exports = exports
        self._conditions = conditions
        self._tree_of = tree_of
        self._eager = eager
        self._followed = frozenset(followed)
        self._programs: dict[str, p.Block | None] = {}
        self._served: dict[str, Served] = {}
        self._built = BuiltModules(locator.layout)
        self._reach: dict[str, frozenset[str]] = {}
        self._values: dict[tuple[str, str], Value] = {}
        self.strict = False  # True: what a package does not have without some import is missed there
        facts = locator.environment.facts
        self._before_path = facts.builtin | facts.frozen
        self._builtins = facts.builtins

    def find(self, name: str, search: tuple[str, ...]) -> Found | None:
        """Return a module of the project; None for any other."""
        top = name.partition(".")[0]
        if top in self._before_path or self._locator.means_standard(top, search):
            return None
        found = self._locator.layout.find(name, search)
        if found is not None and found.kind == "namespace" and self._locator.is_installed(top):
            return None
        return found

    def changed(self, trees: Mapping[str, ast.Module]) -> World:
        """Return the same project with other text in some of its files, judged strictly."""
        twin = copy.copy(self)
        twin._programs = dict(self._programs)
        twin._programs |= {path: self._lower(path, tree) for path, tree in trees.items()}
        twin.strict = True
        return twin

    def _lower(self, path: str, tree: ast.Module) -> p.Block:
        return lower_module(tree, self._conditions, self._locator.bytes_of(self._locator.layout.absolute(path)))

    def path_of(self, found: Found) -> str | None:
        return self._locator.layout.relative(found.file) if found.file else None

    def is_missing(self, name: str, search: tuple[str, ...]) -> bool:
        """Say whether nothing of this name exists, in the project or outside."""
        return self.find(name, search) is None and self._locator.environment.has_module(name) is False

    def is_builtin(self, name: str) -> bool:
        return name in self._builtins

    def program(self, path: str) -> p.Block | None:
        """Return what the module does on import; None where it is not followed or cannot be read."""
        if path not in self._followed:
            return None
        if path not in self._programs:
            tree = self._tree_of(self._locator.layout.absolute(path))
            self._programs[path] = None if tree is None else self._lower(path, tree)
        return self._programs[path]

    def value(self, path: str, name: str) -> Value:
        """Return what a name of a complete module holds, where its text says so plainly; None if unknown."""
        key = (path, name)
        if key not in self._values:
            tree = self._tree_of(self._locator.layout.absolute(path))
            self._values[key] = (
                None if tree is None else literal_of(tree, name, literal_constants(tree, names_declared_global(tree)))
            )
        return self._values[key]

    def is_standard(self, name: str) -> bool:
        """Say whether a module of the standard library is there for certain."""
        known = self._locator.environment
        return known.is_standard(name) and known.has_module(name) is True

    def binds(self, path: str | None, name: str) -> bool:
        """Say whether a statement of the module binds the name."""
        return path is not None and name in self._exports.scan(self._locator.layout.absolute(path)).bindings

    def would_have(self, path: str | None, name: str) -> bool:
        """Say whether the module has the name once it is complete."""
        if path is None:
            return False
        file = self._locator.layout.absolute(path)
        scan = self._exports.scan(file)
        if path.endswith("__init__.py") and self._built.makes((file.rpartition("/")[0],), name):
            return False  # `from pkg import _C` binds what a build puts there before anything runs
        if name in scan.bindings or "__getattr__" in scan.bindings:
            return True
        if not scan.dynamic:
            every = self._exports.every(file)
            if every.known and name in every.names:
                return True
        return self._imports_submodule(path, name)

    def serves(self, path: str | None, name: str) -> bool:
        """Say whether the module's `__getattr__`, once defined, may answer for a name that is not bound yet."""
        if path is None:
            return True
        served = self._served_by(path)
        if served.names is not None:
            return name in served.names
        if not served.calls and self._is_submodule(path, name):
            return False
        program = self.program(path)
        bound = (
            binds(program) if program is not None else self._exports.scan(self._locator.layout.absolute(path)).bindings
        )
        return name not in bound  # it would be odd to serve what the module binds itself

    def serves_plainly(self, path: str | None) -> bool:
        """Say whether the text of the module's `__getattr__` shows which names it answers for."""
        return path is not None and self._served_by(path).names is not None

    def _served_by(self, path: str) -> Served:
        if path not in self._served:
            tree = self._tree_of(self._locator.layout.absolute(path))
            self._served[path] = served_names(tree) if tree is not None else Served()
        return self._served[path]

    def offers(self, path: str | None, name: str) -> bool:
        """Say whether a module that is not followed may have a name that is also one of its submodules."""
        if path is None:
            return False
        scan = self._exports.scan(self._locator.layout.absolute(path))
        if "__getattr__" in scan.bindings:
            return self.serves(path, name)
        return scan.dynamic or name in scan.bindings

    def _is_submodule(self, path: str, name: str) -> bool:
        if not path.endswith("__init__.py"):
            return False
        folder = self._locator.layout.absolute(path).rpartition("/")[0]
        return self._locator.layout.folders.child(name, "", (folder,)) is not None

    def star(self, path: str | None) -> frozenset[str] | None:
        """Return what `from module import *` brings from the complete module; None where it cannot be known."""
        if path is None:
            return None
        public = self._exports.public(self._locator.layout.absolute(path))
        return public.names if public.known else None

    def bound_publicly(self, path: str | None) -> frozenset[str]:
        """Return the names without underscore that statements of the module bind."""
        if path is None:
            return frozenset()
        bindings = self._exports.scan(self._locator.layout.absolute(path)).bindings
        return frozenset(name for name in bindings if not name.startswith("_"))

    def _imports_submodule(self, path: str, name: str) -> bool:
        if not path.endswith("__init__.py"):
            return False
        folder = path.removesuffix("__init__.py")
        wanted = {f"{folder}{name}.py", f"{folder}{name}/__init__.py"}
        return not wanted.isdisjoint(self._reachable(path))

    def _reachable(self, path: str) -> frozenset[str]:
        if path not in self._reach:
            seen: set[str] = set()
            pending = [path]
            while pending:
                for target in self._eager.get(pending.pop(), ()):
                    if target not in seen:
                        seen.add(target)
                        pending.append(target)
            self._reach[path] = frozenset(seen)
        return self._reach[path]
