"""Decides which file an import means: the folders it is looked up in, and what they hold."""

from __future__ import annotations

import ast
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._source.folders import FolderIndex, Found
from stages._source.parsing import parse_text
from stages._source.toml import read_toml
from verifier.api import is_folder, read_regular, walk_folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "env"})
_PROJECT_FILES = frozenset({"setup.py", "setup.cfg", "pyproject.toml"})
_BUILD_FILES = frozenset({"setup.py", "pyproject.toml", "CMakeLists.txt", "meson.build"})
_WALK_LIMIT = 20_000  # folders looked at for a name that is on no import path


class Layout:
    """The project's folders as import paths. Paths are absolute POSIX text; files of the project are also relative."""

    def __init__(self, root: Path, source_roots: Sequence[str]) -> None:
        self.root = root.as_posix()
        self.folders = FolderIndex()
        settings = _pyproject(root)
        packages = dict(_package_dirs(settings, root / "setup.py"))
        declared = [*source_roots, "src", *_declared_roots(settings), packages.pop("", ".")]
        roots = [self.root] + [os.path.normpath(f"{self.root}/{name}") for name in declared]
        self.roots = tuple(dict.fromkeys(folder for folder in roots if is_folder(folder)))
        self._local: dict[str, str] = {}
        self._search: dict[str, tuple[str, ...]] = {}
        self._found: dict[tuple[str, tuple[str, ...]], Found | None] = {}
        self._anywhere: dict[str, tuple[str, ...]] | None = None
        self._build_files: list[str] = []
        self._mapped = {name: os.path.normpath(f"{self.root}/{folder}") for name, folder in packages.items()}

    def absolute(self, path: str) -> str:
        return f"{self.root}/{path}"

    def relative(self, file: str) -> str | None:
        """Return a file's path below the root, or None for one outside it."""
        prefix = f"{self.root}/"
        return file[len(prefix) :] if file.startswith(prefix) else None

    def local_root(self, folder: str) -> str:
        """Return the folder above the top-most package that the folder belongs to; itself if it is no package."""
        known = self._local.get(folder)
        if known is None:
            parent = folder.rpartition("/")[0]
            inside = "__init__.py" in self.folders.listing(folder).files and parent
            known = self._local[folder] = self.local_root(parent) if inside else folder
        return known

    def search_root(self, path: str) -> str:
        """Return the folder above a file's top-most package, or its own folder."""
        return self.local_root(self.absolute(path).rpartition("/")[0])

    def search_path(self, path: str) -> tuple[str, ...]:
        """Return where a project file's absolute imports are looked up, first match first."""
        folder = self.absolute(path).rpartition("/")[0]
        known = self._search.get(folder)
        if known is None:
            local = self.local_root(folder)
            nested = [] if local == folder else list(self._nested_projects(folder))  # a script's own folder comes first
            order = [*nested, local, *self.roots, *self._conftest_folders(folder), *self._nested_projects(folder)]
            known = self._search[folder] = tuple(dict.fromkeys(order))
        return known

    def _nested_projects(self, folder: str) -> Iterator[str]:
        """Yield the folders above, below the root, that are projects of their own, nearest first."""
        while folder.startswith(f"{self.root}/"):
            if self.is_project(folder):
                yield folder
                if "src" in self.folders.listing(folder).folders:
                    yield f"{folder}/src"
            folder = folder.rpartition("/")[0]

    def is_project(self, folder: str) -> bool:
        """Say whether a folder has build settings of its own."""
        return not _PROJECT_FILES.isdisjoint(self.folders.listing(folder).files)

    def _conftest_folders(self, folder: str) -> Iterator[str]:
        """Yield the folders above that pytest puts on the import path because they hold a conftest.py."""
        while folder.startswith(self.root):
            if "conftest.py" in self.folders.listing(folder).files:
                yield self.local_root(folder)
            folder = folder.rpartition("/")[0]

    def find(self, name: str, search: tuple[str, ...]) -> Found | None:
        """Find a module by dotted name, as CPython would with the given path."""
        key = (name, search)
        if key not in self._found:
            self._found[key] = self._find(name, search)
        return self._found[key]

    def _find(self, name: str, search: tuple[str, ...]) -> Found | None:
        top, *parts = name.split(".")
        found = self.folders.child(top, "", search)
        if found is not None and found.kind == "namespace" and not any(map(self.folders.holds_python, found.folders)):
            found = None  # a folder of data or outputs is no module
        found = found or self._installed_as(top)
        for part in parts:
            if found is None:
                return None
            found = self.below(found, part)
        return found

    def below(self, package: Found, name: str) -> Found | None:
        """Return a submodule of a package: where its folders hold it, or where the build settings say that it lies."""
        found = self.folders.child(name, package.name, package.folders) if package.folders else None
        return found or (self._installed_as(f"{package.name}.{name}") if self._mapped else None)

    def _installed_as(self, name: str) -> Found | None:
        """Return the package that is installed under a name which its folder does not have."""
        folder = self._mapped.get(name)
        if folder is None:
            inside = any(key.startswith(f"{name}.") for key in self._mapped)
            return Found(name, "namespace", None) if inside else None
        if "__init__.py" in self.folders.listing(folder).files:
            return Found(name, "package", f"{folder}/__init__.py", (folder,))
        return Found(name, "namespace", None, (folder,))

    def package_folder(self, path: str, level: int) -> str | None:
        """Return the folder that `level` leading dots mean in a file; None where that is above every package."""
        folder = self.absolute(path).rpartition("/")[0]
        start = folder
        for _ in range(level - 1):
            folder = folder.rpartition("/")[0]
        tops = {self.local_root(start), *self.roots}
        return folder if any(folder != top and folder.startswith(f"{top}/") for top in tops) else None

    def anywhere(self, top: str) -> tuple[str, ...]:
        """Return the folders of the project that hold a module or package of this name, on an import path or not."""
        if self._anywhere is None:
            self._anywhere = self._walk()
        return self._anywhere.get(top, ())

    def build_files(self) -> list[str]:
        """Return every file of the project, at any depth, that may say which modules a build makes."""
        if self._anywhere is None:
            self._anywhere = self._walk()
        return self._build_files

    def _walk(self) -> dict[str, tuple[str, ...]]:
        places: dict[str, list[str]] = {}
        for count, (folder, below, files) in enumerate(walk_folders(self.root)):
            below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED)
            for name in [*below, *(file[:-3] for file in files if file.endswith(".py"))]:
                places.setdefault(name, []).append(folder)
            self._build_files += [f"{folder}/{name}" for name in sorted(_BUILD_FILES.intersection(files))]
            if count >= _WALK_LIMIT:
                break
        return {name: tuple(folders) for name, folders in places.items()}


def _pyproject(root: Path) -> dict[str, Any]:
    try:
        return read_toml(read_regular(root / "pyproject.toml").decode("utf-8", "replace"))
    except (OSError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def _declared_roots(data: dict[str, Any]) -> Iterator[str]:
    """Yield the source folders that build and test settings name."""
    tool = _table(data, "tool")
    setuptools = _table(tool, "setuptools")
    lists = [
        _table(_table(tool, "pytest"), "ini_options").get("pythonpath"),
        _table(_table(setuptools, "packages"), "find").get("where"),
        [_table(tool, "maturin").get("python-source")],
        [item.get("from") for item in _list(_table(tool, "poetry").get("packages")) if isinstance(item, dict)],
        [os.path.dirname(str(item)) for item in _list(_wheel(tool).get("packages"))],  # noqa: PTH120
    ]
    for items in lists:
        yield from (item for item in _list(items) if isinstance(item, str) and item)


def _wheel(tool: dict[str, Any]) -> dict[str, Any]:
    return _table(_table(_table(_table(tool, "hatch"), "build"), "targets"), "wheel")


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split()
    return value if isinstance(value, list) else []


def _package_dirs(data: dict[str, Any], setup: Path) -> Iterator[tuple[str, str]]:
    """Yield packages and the folders they are installed from; the one without a name is where all others lie."""
    declared = _table(_table(_table(data, "tool"), "setuptools"), "package-dir")
    yield from ((name, folder) for name, folder in declared.items() if isinstance(folder, str))
    try:
        tree = parse_text(read_regular(setup).decode("utf-8", "replace"))
    except OSError:
        tree = None
    if tree is None:
        return
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "package_dir":
            value = named.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            pairs = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
            for key, folder in pairs:
                if isinstance(key, ast.Constant) and isinstance(folder, ast.Constant):
                    yield str(key.value), str(folder.value)
