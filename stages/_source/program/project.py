"""Decides under which dotted names the files of a task import each other."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages._source.program.heirs import Heirs
from stages._source.program.index import classes_with, members
from stages._source.program.scopes import FileScopes, Scope, read_scopes

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One file of the task, read."""

    path: str
    name: str
    tree: ast.Module
    lines: Sequence[str]
    scopes: FileScopes

    def code(self, line: int) -> str:
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""


class Project:
    """The task's files, by every dotted name an import may call them. A file is read when somebody asks for it.

    Args:
        paths: every Python file of the project. Packages are recognised by their `__init__.py` and, without one, by
            their folder.
        read: gives the tree and the lines of a file; None where it does not parse.
        worth: whether a file is worth reading because a name leads into it; other files are treated as a library's.
        names: whether a file can bind a name or pass it on from a star import, by its text; None: any file can.
        awaited: files that count as read, with their code as text: each is read when something in it is asked for.
    """

    def __init__(
        self,
        paths: Iterable[str],
        read: Callable[[str], tuple[ast.Module, Sequence[str]] | None],
        worth: Callable[[str], bool] | None = None,
        names: Callable[[str, str], bool] | None = None,
        awaited: Mapping[str, bytes] | None = None,
    ) -> None:
        self._read = read
        self._worth = worth
        self._names = names
        self._awaited = awaited or {}
        self._rank = {path: place for place, path in enumerate(self._awaited)}
        self._heirs: Heirs | None = None
        self._paths: dict[str, str] = {}  # dotted name -> file
        self._modules: dict[str, Module | None] = {}  # file -> module, whichever of the twins has read it
        self._dotted: dict[str, str] = {}  # file -> its name from the root
        self._several: dict[str, set[str]] = {}  # short name -> files of several folders that go by it
        given = list(paths)
        named = _all_names(frozenset(given))
        self._dotted |= {path: named[path][0] for path in given}
        importable = [path for path in given if not path.endswith(".ipynb")]
        for path in importable:
            self._paths.setdefault(self._dotted[path], path)
        for path in importable:
            for alias in named[path][1]:
                first = self._paths.setdefault(alias, path)
                if first != path and self._dotted[first] != alias:
                    self._several.setdefault(alias, {first}).add(path)
        self._begin()

    def _begin(self) -> None:
        """Know nothing of any file yet."""
        self._own: dict[str, None] = {}  # the files that were read here, in the order of reading
        self._having: dict[str, list[str]] = {}  # name -> those of them with a class that binds it
        self._passed_over: set[str] = set()  # files that turned out not to be worth reading
        self._splits: dict[str, tuple[Module, str] | None] = {}
        self.known_origins: dict[tuple[ast.expr, Scope], frozenset[str]] = {}
        self.known_names: dict[str, frozenset[str]] = {}
        self.known_instances: dict[tuple[ast.expr, Scope], list[Scope]] = {}
        self.known_lineage: dict[Scope, list[Scope]] = {}
        self.known_bound: dict[tuple[Scope, str], frozenset[str]] = {}  # by the scope that binds the name
        self.known_stars: dict[tuple[str, ...], tuple[frozenset[str], tuple[tuple[str, Scope], ...]]] = {}
        self.known_brought: dict[tuple[Scope, str], list[str]] = {}  # star imports of a scope that may bring a name
        self.known_methods: dict[tuple[Scope, str], list[Scope]] = {}  # classes that may override a method

    @property
    def modules(self) -> list[Module]:
        """Return every file read so far, in the order of reading; those that were awaited first."""
        return self.modules_where(lambda _: True)

    def modules_where(self, may: Callable[[bytes], bool]) -> list[Module]:
        """Return every file read so far, of those that are awaited only the ones whose code may be meant."""
        return self._with([path for path, code in self._awaited.items() if path not in self._own and may(code)])

    def classes_below(self, cls: str, method: str) -> list[Scope]:
        """Return the classes with a method in every file read so far, and in those awaited where an heir may have it.

        Args:
            cls: the name of the class whose heirs are meant.
        """
        if self._heirs is None:
            self._heirs = Heirs(self._awaited)
        for path in self._heirs.files_with(cls, method):
            self.module(path)
        given = sorted(self._having.get(method, ()), key=lambda path: self._rank.get(path, len(self._rank)))
        modules = [self._modules[path] for path in given]
        return [item for module in modules if module is not None for item in classes_with(module.scopes, method)]

    def _with(self, awaited: Iterable[str]) -> list[Module]:
        for path in awaited:
            self.module(path)
        paths = dict.fromkeys(path for path in self._awaited if path in self._own) | self._own
        return [module for path in paths if (module := self._modules[path]) is not None]

    def module(self, path: str) -> Module | None:
        """Return a file by its path, or None where it does not parse."""
        if path not in self._modules:
            found = self._read(path)
            self._modules[path] = None if found is None else self._scoped(path, *found)
        module = self._modules[path]
        if path not in self._own:
            self._own[path] = None
            for member in members(module.scopes) if module is not None else ():
                self._having.setdefault(member, []).append(path)
        return module

    def dotted(self, path: str) -> str:
        """Return the name of a file from the root."""
        return self._dotted[path]

    def path_of(self, dotted: str) -> str | None:
        """Return the file that `import dotted` loads, without reading it; None where it is none of the task."""
        return self._paths.get(dotted)

    def named(self, dotted: str) -> Module | None:
        """Return the file that `import dotted` loads, or None where it is none of the task or does not parse."""
        path = self._paths.get(dotted)
        if path is None or path in self._passed_over:
            return None
        if not (path in self._own or path in self._awaited or self._worth is None or self._worth(path)):
            self._passed_over.add(path)
            return None
        return self.module(path)

    def starred(self, dotted: str, name: str) -> Module | None:
        """Return the file from which a star import of `dotted` may bring a name: none where the file never has it.

        A package that star-imports a hundred others would have all of them read for every name that it brings.
        """
        path = self._paths.get(dotted)
        if path is None or (self._names is not None and not self._names(path, name)):
            return None
        return self.named(dotted)

    def holds(self, dotted: str) -> bool:
        """Say whether a module is a file of the task, worth reading or not."""
        return dotted in self._paths

    def leads_below(self, module: Module, name: str) -> bool:
        """Say whether a name of a package that nothing in it binds by name is a file below it, worth reading or not.

        A package that star-imports a hundred others would have all of them read for each such name.
        """
        root = module.scopes.root
        return root.is_package and name not in root.bindings and self.holds(f"{module.name}.{name}")

    def whole(self) -> Project:
        """Return the same project, in which every name leads into its file. Files that were read are shared."""
        twin = self.apart()
        twin._worth = None
        return twin

    def apart(self) -> Project:
        """Return the same project, in which nothing was asked yet: what was, cannot change the answers. See `whole`."""
        twin = copy(self)
        twin._begin()
        return twin

    def unreadable(self, paths: Iterable[str]) -> list[str]:
        """Return which of some files were found not to parse."""
        return [path for path in paths if path in self._modules and self._modules[path] is None]

    def split(self, dotted: str) -> tuple[Module, str] | None:
        """Return the file and the rest of a dotted name that goes through a file of the task."""
        if dotted not in self._splits:
            self._splits[dotted] = self._split(dotted)
        return self._splits[dotted]

    def _split(self, dotted: str) -> tuple[Module, str] | None:
        parts = dotted.split(".")
        for size in range(len(parts), 0, -1):
            module = self.named(".".join(parts[:size]))
            if module is not None:
                return module, ".".join(parts[size:])
        return None

    def _scoped(self, path: str, tree: ast.Module, lines: Sequence[str]) -> Module:
        name = self._dotted[path]
        scopes = read_scopes(tree, name, is_package=path.endswith("__init__.py"))
        if self._several:
            for scope in scopes.scopes.values():
                self._look_beside(path, scope)
        return Module(path, name, tree, lines, scopes)

    def _look_beside(self, path: str, scope: Scope) -> None:
        """Have imports of a short name that several folders have lead into the file's own folder, as for a script."""
        for bound in scope.bindings.values():
            for position, binding in enumerate(bound):
                top, dot, rest = binding.origin.partition(".")
                if binding.how == "import" and top in self._several:
                    beside = ".".join((*PurePosixPath(path).parent.parts, top))
                    if self._paths.get(beside) in self._several[top]:
                        bound[position] = replace(binding, origin=f"{beside}{dot}{rest}")


def read_project(files: Iterable[tuple[str, ast.Module, list[str]]]) -> Project:
    """Read every given file at once."""
    given = {path: (tree, lines) for path, tree, lines in files}
    project = Project(given, given.get)
    for path in given:
        project.module(path)
    return project


@lru_cache(maxsize=4)  # every task of a run is seen beside the same files
def _all_names(paths: frozenset[str]) -> Mapping[str, tuple[str, list[str]]]:
    packages = {str(PurePosixPath(path).parent) for path in paths if path.endswith("__init__.py")}
    return {path: _names(path, packages) for path in paths}


def _names(path: str, packages: set[str]) -> tuple[str, list[str]]:
    """Return the dotted name from the root, and the names under which `src` layouts and nested roots import it."""
    pure = PurePosixPath(path)
    parts = list(pure.with_suffix("").parts)
    top = pure.parent
    while top.parts and str(top) in packages and str(top.parent) in packages:
        top = top.parent
    above = len(top.parts) - 1 if str(top) in packages else len(pure.parent.parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    shorter = [".".join(parts[above:])] if 0 < above < len(parts) else []
    if parts[0] == "src" and len(parts) > 1:
        shorter.append(".".join(parts[1:]))
    return ".".join(parts), shorter
