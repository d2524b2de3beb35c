"""Decides where an import statement leads: into the project, the standard library, another distribution, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages._source.folders import Found
from verifier.api import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stages._source.dependencies import Dependencies
    from stages._source.environment import Environment
    from stages._source.records import FileScan
    from stages.syntax.imports.layout import Layout
    from verifier.api import SourceFile

Group = Literal["standard library", "third-party", "project"]
Problem = Literal["missing", "beyond-top", "not-a-package"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module is. `name` is dotted and absolute as far as known; `missing` the first part that is not there."""

    name: str
    group: Group
    found: Found | None = None
    problem: Problem | None = None
    missing: str = ""


class Locator:
    """Resolves module names for files of the project (and, for star imports, for installed source)."""

    def __init__(
        self,
        layout: Layout,
        environment: Environment,
        files: Mapping[str, SourceFile],
        scans: Mapping[str, FileScan],
        dependencies: Dependencies,
    ) -> None:
        self.layout = layout
        self.environment = environment
        self._files = files
        self._scans = scans
        self._dependencies = dependencies
        self._memo: dict[tuple[str, str, int], Place] = {}

    def scan_of(self, file: str) -> FileScan | None:
        path = self.layout.relative(file)
        return self._scans.get(path) if path is not None else None

    def bytes_of(self, file: str) -> bytes:
        path = self.layout.relative(file)
        source = self._files.get(path) if path is not None else None
        if source is not None:
            return source.data or b""
        try:
            return read_regular(Path(file))
        except OSError:
            return b""

    def external_source(self, name: str) -> str | None:
        source = self.environment.source_of(name)
        return source.as_posix() if source else None

    def locate(self, file: str, module: str, level: int) -> Place:
        """Return where `module` with `level` leading dots leads from an absolute file path."""
        folder = file.rpartition("/")[0]
        key = (folder, module, level)
        known = self._memo.get(key)
        if known is None:
            path = self.layout.relative(file)
            if path is None:
                known = self._from_outside(folder, module, level)
            elif level:
                known = self._relative(path, module, level)
            else:
                known = self._absolute(path, module)
            self._memo[key] = known
        if known.found is not None and known.found.file == file and not level:
            return self._instead_of(file, module) or known
        return known

    def _instead_of(self, file: str, module: str) -> Place | None:
        """Return what else a module name may mean in the file that has this name in its own folder."""
        path = self.layout.relative(file)
        for folder in self.layout.search_path(path) if path is not None else ():
            found = self.layout.find(module, (folder,))
            if found is not None and found.file is not None and found.file != file:
                return Place(module, "project", found)
        if self.environment.is_standard(module):
            return Place(module, "standard library")
        return Place(module, "third-party") if self.environment.source_of(module) else None

    def used_names(self) -> dict[str, set[str]]:
        """Return by absolute file the dotted names under which absolute imports have asked for it so far."""
        used: dict[str, set[str]] = {}
        for (_, _, level), place in self._memo.items():
            if level == 0 and place.group == "project" and place.problem is None and place.found is not None:
                file = (
                    place.found.file or f"{place.found.folders[0]}/__init__.py"
                    if place.found.folders
                    else place.found.file
                )
                if file is not None:
                    used.setdefault(file, set()).add(place.found.name)
        return used

    def submodules_named(self, place: Place, names: Iterable[str]) -> list[Place]:
        """Return those of the names that are submodules of a package that was found."""
        if place.found is None or not place.found.folders:
            return []
        found = (self.submodule(place.found, name) for name in names if name.isidentifier())
        return [Place(item.name, place.group, item) for item in found if item]

    def submodule(self, package: Found, name: str) -> Found | None:
        """Return a package's submodule."""
        return self.layout.below(package, name)

    def _absolute(self, path: str, module: str) -> Place:
        search = self.layout.search_path(path)
        top = module.partition(".")[0]
        if others := self._without_local(path, top, search):
            search = others
        if not self.means_standard(top, search):
            found = self.layout.find(module, search)
            if found is not None and found.kind == "namespace" and self.is_installed(top):
                return Place(module, "third-party")  # an installed package wins over a folder without __init__.py
            # an earlier folder with a module of that name may hide it; which comes first is then a guess
            found = found or next((other for folder in search if (other := self.layout.find(module, (folder,)))), None)
            if found is not None:
                return Place(module, "project", found)
            if not others and self.is_own(path, top):
                missing = self._missing_in_project(module, search)
                if missing is not None:
                    return missing
        group: Group = "standard library" if self.environment.is_standard(top) else "third-party"
        if self.environment.has_module(module) is not False:
            return Place(module, group)
        if group == "third-party" and self.environment.has_module(top):
            return self._missing(module, group)
        return self._missing_in_project(module, search) or self._missing(module, group)

    def _without_local(self, path: str, top: str, search: tuple[str, ...]) -> tuple[str, ...]:
        """Return where else to look, if a name means a declared distribution and not what lies above the package.

        Above `part/datasets/a.py`, with no `part/__init__.py`, the folder `part` counts as an import path. Nothing says
        that it is one; a distribution `datasets` in the project's dependencies says that it is not.
        """
        local = self.layout.search_root(path)
        if local in self.layout.roots or local == self.layout.absolute(path).rpartition("/")[0]:
            return ()
        others = tuple(folder for folder in search if folder != local)
        if self.layout.find(top, (local,)) is None or self.layout.find(top, others) is not None:
            return ()
        if self.layout.is_project(local) or not self._dependencies.declared_for(path).brings(top):
            return ()
        return others

    def is_own(self, path: str, top: str) -> bool:
        """Say whether a top-level name is a package or module of the project, whatever of that name is installed."""
        local = self.layout.search_root(path)
        found = self.layout.find(top, tuple(dict.fromkeys((local, *self.layout.roots))))
        return found is not None and found.kind in {"module", "package"}

    def means_standard(self, top: str, search: tuple[str, ...]) -> bool:
        """Say whether a name is the standard library's although some folder of the path has a module of that name.

        Only the folder of a script that is being run could hide it; every source root does.
        """
        if not self.environment.is_standard(top):
            return False
        roots = tuple(folder for folder in search if folder in self.layout.roots)
        return self.layout.find(top, roots) is None

    def is_installed(self, top: str) -> bool:
        """Say whether a regular third-party package of this name is installed."""
        if self.environment.is_standard(top):
            return False
        return self.environment.source_of(top) is not None

    def _missing(self, module: str, group: Group) -> Place:
        parts = module.split(".")
        prefixes = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        missing = next((name for name in prefixes if self.environment.has_module(name) is False), module)
        return Place(module, group, None, "missing", missing)

    def _missing_in_project(self, module: str, search: tuple[str, ...]) -> Place | None:
        """Say what is missing below a top-level module of the project; None where that is not the project's."""
        parts = module.split(".")
        above: Found | None = None
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            found = self.layout.find(name, search)
            if found is None:
                if above is None:
                    return None
                if above.kind == "compiled":
                    return Place(module, "project", above)
                problem: Problem = "missing" if above.folders else "not-a-package"
                return Place(module, "project", above, problem, name)
            above = found
        return None

    def _relative(self, path: str, module: str, level: int) -> Place:
        folder = self.layout.package_folder(path, level)
        if folder is None:
            return Place("." * level + module, "project", None, "beyond-top", "." * level + module)
        above = self._package_at(folder)
        for part in module.split(".") if module else ():
            found = self.layout.below(above, part)
            if found is None:
                if above.kind == "compiled":
                    return Place(above.name, "project", above)
                problem: Problem = "missing" if above.folders else "not-a-package"
                full = f"{self._package_at(folder).name}.{module}"
                return Place(full, "project", above, problem, f"{above.name}.{part}")
            above = found
        return Place(above.name, "project", above)

    def _package_at(self, folder: str) -> Found:
        """Return a folder as the package it is, named from the longest import path above it that makes it one."""
        tops = [self.layout.local_root(folder), *self.layout.roots]
        fitting = [top for top in tops if folder.startswith(f"{top}/")]
        top = max(fitting, key=len) if fitting else folder.rpartition("/")[0]
        name = folder[len(top) + 1 :].replace("/", ".")
        if "__init__.py" in self.layout.folders.listing(folder).files:
            return Found(name, "package", f"{folder}/__init__.py", (folder,))
        return Found(name, "namespace", None, (folder,))

    def _from_outside(self, folder: str, module: str, level: int) -> Place:
        """Resolve an import of an installed file: only what stands beside it, or what the environment knows."""
        if not level:
            known = self.environment.has_module(module)
            group: Group = "standard library" if self.environment.is_standard(module) else "third-party"
            return Place(module, group, None, "missing" if known is False else None)
        for _ in range(level - 1):
            folder = folder.rpartition("/")[0]
        above = Found("", "namespace", None, (folder,))
        if not module:
            above = Found("", "package", f"{folder}/__init__.py", (folder,))
        for part in module.split(".") if module else ():
            found = self.layout.folders.child(part, above.name, above.folders)
            if found is None:
                return Place(module, "third-party")
            above = found
        return Place(above.name, "third-party", above)
