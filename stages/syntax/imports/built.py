"""Decides which modules that are not there a build would make: extensions, version files, generated protocols."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from stages.syntax.imports.extensions import extensions_named
from verifier.api import read_regular, to_list, walk_folders

if TYPE_CHECKING:
    from stages.syntax.imports.layout import Layout

_SOURCES = (".pyx", ".pyi", ".pxd", ".c", ".cc", ".cpp", ".cxx", ".cu", ".rs", ".f90", ".pyd", ".pyc", ".so", ".py.in")
_BUILD_FILES = (
    "setup.py", "setup.cfg", "pyproject.toml", "CMakeLists.txt", "meson.build", "BUILD", "Cargo.toml", "Makefile",
    ".gitignore",
)  # fmt: skip
_GENERATED_VERSIONS = frozenset({"_version", "version", "__version__", "_version_info"})
_VERSION_WRITERS = re.compile(
    r"setuptools[_-]scm|hatch-vcs|version[-_]file|write_to|versioneer|versioningit|pdm.*scm|flit_scm|version\.py"
)
_SIZE_LIMIT = 400_000


class BuiltModules:
    """What the build files of a project say, each read once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._root = Path(layout.root)
        self._texts: dict[Path, str] = {}
        self._folders: dict[Path, frozenset[str]] = {}
        self._extensions: frozenset[str] | None = None
        self._made: dict[tuple[tuple[str, ...], str, str], bool] = {}

    def makes(self, folders: tuple[str, ...], name: str, package: str = "") -> bool:
        """Say whether a build would make module `name` in one of the folders, which hold what `package` names."""
        key = (folders, name, package)
        if key not in self._made:
            self._made[key] = self._would_make(folders, name, package)
        return self._made[key]

    def _would_make(self, folders: tuple[str, ...], name: str, package: str) -> bool:
        if any(self._has_source(Path(folder), name) or self._builds_inside(folder, name) for folder in folders):
            return True
        if self._is_extension(f"{package}.{name}" if package else name):
            return True
        above = self._projects_above(folders)
        if name in _GENERATED_VERSIONS and any(_VERSION_WRITERS.search(self._build_text(item)) for item in above):
            return True
        stem = re.sub(r"_pb2(_grpc)?\Z", "", name)
        if stem != name and self._has_proto(stem):
            return True
        return any(self._is_named_in_build(item, name) for item in above)

    def shares(self, folders: tuple[str, ...], top: str) -> bool:
        """Say whether the project packs its folder of this name as one part of a namespace that others fill too."""
        escaped = re.escape(top)
        pattern = rf"(find_namespace_packages\(|\binclude\s*=\s*)[^)\]]*['\"]{escaped}\.\*['\"]"
        return any(re.search(pattern, self._build_text(item)) for item in self._projects_above(folders))

    def _projects_above(self, folders: tuple[str, ...]) -> list[Path]:
        """Return the folders whose build files speak for modules of the given ones: the root, and those between."""
        found = {self._root}
        for folder in map(Path, folders):
            found |= {item for item in (folder, *folder.parents) if self._root in item.parents}
        return sorted(found)

    def _builds_inside(self, folder: str, name: str) -> bool:
        """Say whether a build in place, started inside a package, makes that package's folder once more below it."""
        if not folder.endswith(f"/{name}") or "setup.py" not in self._layout.folders.listing(folder).files:
            return False
        return bool(extensions_named(Path(folder, "setup.py")))

    def _is_extension(self, name: str) -> bool:
        if self._extensions is None:
            files = self._layout.build_files()
            self._extensions = frozenset().union(*(extensions_named(Path(file)) for file in files))
        return any(_agree(name, extension) for extension in self._extensions)

    def _has_source(self, folder: Path, name: str) -> bool:
        if folder not in self._folders:
            to_list(folder)
            try:
                self._folders[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:
                self._folders[folder] = frozenset()
        return any(f"{name}{suffix}" in self._folders[folder] for suffix in _SOURCES)

    def _has_proto(self, stem: str) -> bool:
        wanted = f"{stem}.proto"
        return any(wanted in below or wanted in files for _, below, files in walk_folders(self._root))

    def _is_named_in_build(self, project: Path, name: str) -> bool:
        """Say whether a build file names the module as an extension or as a generated file."""
        text = self._build_text(project)
        if name not in text:
            return False
        escaped = re.escape(name)
        pattern = (
            rf"[Ee]xtension\w*\(\s*(name\s*=\s*)?f?['\"][\w./{{}}-]*\b{escaped}['\"]"
            rf"|\b{escaped}\.(py|pyx|so|c|cpp|cu)\b"
            rf"|(pybind11_add_module|py_extension|Python3?_add_library|extension_module|module-name)"
            rf"[^\n]{{0,40}}\b{escaped}\b"
        )
        return re.search(pattern, text) is not None

    def _build_text(self, project: Path) -> str:
        if project not in self._texts:
            parts = []
            for name in _BUILD_FILES:
                file = project / name
                try:
                    parts.append(read_regular(file, _SIZE_LIMIT).decode("utf-8", "replace"))
                except OSError:
                    continue
            self._texts[project] = "\n".join(parts)
        return self._texts[project]


def _agree(asked: str, built: str) -> bool:
    """Say whether two dotted names mean one module; each may lack packages that the other starts with."""
    if "." not in asked:
        return built == asked or built.startswith(f"{asked}.")
    return asked == built or ("." in built and (asked.endswith(f".{built}") or built.endswith(f".{asked}")))
