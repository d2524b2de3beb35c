"""Decides where, besides import statements, a project names a module or a tool: in strings, scripts and settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.api import read_regular, walk_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "env", "build", "dist"})
_READ = (
    ".py", ".pyi", ".pyx", ".pyw", ".ipynb", ".sh", ".bash", ".zsh", ".ps1", ".bat", ".cmd", ".yml", ".yaml", ".toml",
    ".cfg", ".ini", ".json", ".jsonc", ".gin", ".jinja", ".j2", ".mk", ".cmake", ".slurm", ".sbatch", ".conf", ".env",
    ".cpp", ".cu", ".h", ".r", ".jl", ".tmpl", ".template", ".in", ".bzl", ".nix", ".groovy",
)  # fmt: skip
_PROSE = (".md", ".rst", ".txt", ".qmd")
_NAMED = re.compile(r"(?i)(?:makefile|dockerfile|jenkinsfile|justfile|procfile|tox\.ini|noxfile)")
_DECLARING = re.compile(
    r"(?i)(?:pyproject\.toml|setup\.(?:py|cfg)|pipfile|.*requirement.*|.*env.*\.ya?ml|.*conda.*\.ya?ml|.*\.lock"
    r"|package(?:-lock)?\.json|constraints.*|meta\.ya?ml|citation\.cff)\Z"
)
_FILE_LIMIT = 3_000_000
_FILES_LIMIT = 20_000
_TOTAL_LIMIT = 300_000_000


def mentioned(root: Path, names: Collection[str]) -> frozenset[str] | None:
    """Return which of the names stand somewhere in the project's text, requirement lists aside.

    None where the project is too large to be read for them. In prose only a line that begins with a name counts.
    """
    open_names = {name: _pattern(name) for name in names}
    found: set[str] = set()
    total = 0
    for count, path in enumerate(_files(root)):
        if not open_names:
            break
        data = _data(path)
        total += len(data)
        if count > _FILES_LIMIT or total > _TOTAL_LIMIT:
            return None
        folded = data.lower()
        prose = path.suffix in _PROSE
        for name in [name for name in open_names if _stem(name) in folded]:
            if _counts(folded, name, open_names[name], prose=prose, declaring=_declares(path)):
                found.add(name)
                del open_names[name]
    return frozenset(found)


def _files(root: Path) -> Iterator[Path]:
    for folder, below, files in walk_folders(root):
        below[:] = sorted(
            name for name in below if name not in _SKIPPED and not name.startswith(".git/") and name != ".git"
        )
        for name in files:
            if name.endswith((*_READ, *_PROSE)) or _NAMED.match(name) or "." not in name:
                yield Path(folder, name)


def _data(path: Path) -> bytes:
    try:
        return read_regular(path, _FILE_LIMIT)
    except OSError:
        return b""


def _declares(path: Path) -> bool:
    return _DECLARING.match(path.name) is not None or path.parent.name == "requirements"


def _stem(name: str) -> bytes:
    """Return the part of a name that stands in any way of writing it."""
    return re.split(r"[-_.]", name.lower())[0].encode()


def _pattern(name: str) -> re.Pattern[bytes]:
    loose = b"[-_.]?".join(re.escape(part.encode()) for part in re.split(r"[-_.]", name.lower()))
    return re.compile(rb"(?<![\w-])%s(?![\w])" % loose)


def _counts(data: bytes, name: str, pattern: re.Pattern[bytes], *, prose: bool, declaring: bool) -> bool:
    if declaring:  # its own settings, or a command that starts it
        tool = re.escape(name.lower().encode())
        return (
            re.search(rb"\[tool\.%s\b|[\"'](?:python -m )?%s [^<>=!~;\[(]|-m %s\b" % (tool, tool, tool), data)
            is not None
        )
    if prose:
        return any(
            re.search(rb"(?:^|\n)\s*[$>!]*\s*(?:python3? -m )?\Z", data[: match.start()][-40:])
            for match in pattern.finditer(data)
        )
    return pattern.search(data) is not None
