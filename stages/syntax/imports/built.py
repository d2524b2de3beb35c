"""Decides which modules that are not there a build would make: extensions, version files, generated protocols."""

from __future__ import annotations

import re
from pathlib import Path

from verifier.api import read_regular

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
    """What the build files of a project say, read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._text: str | None = None
        self._folders: dict[Path, frozenset[str]] = {}

    def makes(self, folders: tuple[str, ...], name: str) -> bool:
        """Say whether building the project would make module `name` in one of the folders."""
        if any(self._has_source(Path(folder), name) for folder in folders):
            return True
        if name in _GENERATED_VERSIONS and _VERSION_WRITERS.search(self._build_text()):
            return True
        stem = re.sub(r"_pb2(_grpc)?\Z", "", name)
        if stem != name and self._has_proto(stem):
            return True
        return self._is_named_in_build(name)

    def _has_source(self, folder: Path, name: str) -> bool:
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:
                self._folders[folder] = frozenset()
        return any(f"{name}{suffix}" in self._folders[folder] for suffix in _SOURCES)

    def _has_proto(self, stem: str) -> bool:
        return next(self._root.rglob(f"{stem}.proto"), None) is not None

    def _is_named_in_build(self, name: str) -> bool:
        """Say whether a build file names the module as an extension or as a generated file."""
        escaped = re.escape(name)
        pattern = (
            rf"Extension\w*\(\s*(name\s*=\s*)?f?['\"][\w./{{}}-]*\b{escaped}['\"]"
            rf"|\b{escaped}\.(py|pyx|so|c|cpp|cu)\b"
            rf"|(pybind11_add_module|py_extension|Python3?_add_library|extension_module|module-name)"
            rf"[^\n]{{0,40}}\b{escaped}\b"
        )
        return re.search(pattern, self._build_text()) is not None

    def _build_text(self) -> str:
        if self._text is None:
            parts = []
            for name in _BUILD_FILES:
                file = self._root / name
                try:
                    parts.append(read_regular(file, _SIZE_LIMIT).decode("utf-8", "replace"))
                except OSError:
                    continue
            self._text = "\n".join(parts)
        return self._text
