"""Decides what the installed distributions say of themselves: what they bring, need and plug into."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stages._source.requirements import normalise, parse
from verifier.api import read_regular, to_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.requirements import Requirement

_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")
_TOLD_IN = ("METADATA", "PKG-INFO", "requires.txt", "entry_points.txt", "top_level.txt")
_COMMANDS = frozenset({"console_scripts", "gui_scripts"})
_NOT_MODULES = frozenset({"__pycache__", "..", "bin", "share", "etc"})


class Distributions:
    """The distributions on an import path; each is read when it is first asked for."""

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)
        self._known: dict[str, metadata.Distribution | None] = {}

    def has(self, name: str) -> bool:
        """Say whether a distribution, by normalised name, is installed."""
        return self._find(name) is not None

    def modules(self, name: str) -> frozenset[str] | None:
        """Return the top-level modules that an installed distribution brings; None where that is not known."""
        found = self._find(name)
        if found is None:
            return None
        files = found.files
        tops = {_top(PurePosixPath(str(file))) for file in files or ()} - {""}
        listed = set((_text(found, "top_level.txt")).split())
        return frozenset(tops | listed) or None

    def is_plugin(self, name: str) -> bool:
        """Say whether others find the distribution by its entry points, so that nobody needs to import it."""
        found = self._find(name)
        groups = re.findall(r"(?m)^\s*\[([^\]]+)\]", _text(found, "entry_points.txt")) if found is not None else []
        return any(group.strip() not in _COMMANDS for group in groups)

    def needs(self, name: str, extras: Iterable[str] = ()) -> tuple[Requirement, ...]:
        """Return what an installed distribution needs, with the given extras of it."""
        wanted = set(extras)
        return tuple(item for item, extra in self._requirements(name) if not extra or normalise(extra) in wanted)

    def may_use(self, name: str) -> frozenset[str]:
        """Return all that an installed distribution can make use of, whichever of its extras is chosen."""
        return frozenset(item.name for item, _ in self._requirements(name))

    def closure(self, wanted: Iterable[Requirement]) -> tuple[frozenset[str], bool]:
        """Return what comes with the requirements, themselves included, and whether all of it could be looked up."""
        pending = [(item.name, item.extras) for item in wanted]
        seen: set[tuple[str, tuple[str, ...]]] = set()
        complete = True
        while pending:
            item = pending.pop()
            if item in seen:
                continue
            seen.add(item)
            complete = complete and self.has(item[0])
            pending += [(need.name, need.extras) for need in self.needs(*item)]
        return frozenset(name for name, _ in seen), complete

    def _requirements(self, name: str) -> list[tuple[Requirement, str]]:
        found = self._find(name)
        rows = []
        for line in (found.requires or ()) if found is not None else ():
            extra = _EXTRA.search(line)
            rows += [(item, extra[1] if extra else "") for item in parse(line, "runtime")]
        return rows

    def _find(self, name: str) -> metadata.Distribution | None:
        if name not in self._known:
            for folder in self._path:
                to_list(folder)
            found = self._known[name] = next(iter(metadata.distributions(name=name, path=self._path)), None)
            if found is not None:
                _note(found)
        return self._known[name]


def _note(found: metadata.Distribution) -> None:
    """Have it noted what the distribution says of itself: one that is installed from a folder keeps its version."""
    folder = getattr(found, "_path", None)
    for name in _TOLD_IN if isinstance(folder, Path) else ():
        with suppress(OSError):
            read_regular(Path(str(folder), name))


def _text(found: metadata.Distribution, name: str) -> str:
    try:
        return found.read_text(name) or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _top(file: PurePosixPath) -> str:
    """Return the top-level module that an installed file belongs to; "" for metadata, scripts and data."""
    first = file.parts[0]
    if first in _NOT_MODULES or first.endswith((".dist-info", ".egg-info", ".data", ".libs", "-stubs")):
        return ""
    if len(file.parts) > 1:
        return first
    return first.partition(".")[0] if first.endswith((".py", ".so", ".pyd")) else ""
