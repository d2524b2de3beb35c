"""Decides which verifier an entry is from: another version, another Python, another plugin start anew."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier import __version__
from verifier.cache.stamps import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_METADATA = (".dist-info", ".egg-info", ".egg-link", ".pth")


def digest_of(value: Any) -> str:
    """Return a digest of any value of JSON."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def tool_identity(packages: Iterable[str], plugins: Iterable[str], rules: Iterable[str]) -> str:
    """Return a digest of everything that judges.

    Args:
        packages: top-level packages whose code does, as they are imported.
        plugins: "name version" of those of others.
        rules: every code that is known.
    """
    return digest_of(
        {
            "version": __version__,
            "python": [sys.version, sys.platform, platform.machine(), sys.flags.optimize],
            "code": [_code_of(package) for package in sorted(set(packages))],
            "installed": [[entry, installed_in(entry)] for entry in sys.path],
            "plugins": sorted(plugins),
            "rules": sorted(rules),
        }
    )


def installed_in(folder: str) -> list[str]:
    """Return the names by which the distributions of a folder are known, versions among them."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(_METADATA))  # noqa: PTH208
    except OSError:
        return [kind_of(folder)]


def _code_of(package: str) -> list[Any]:
    module = sys.modules.get(package)
    folders: Mapping[str, Any] = vars(module) if module is not None else {}
    places = list(folders.get("__path__") or filter(None, [folders.get("__file__")]))
    return [package, sorted(row for place in places for row in _files(str(place)))]


def _files(place: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of the source files in a folder, or of one that is a module by itself."""
    if os.path.isfile(place):  # noqa: PTH113
        status = Path(place).stat()
        yield place, status.st_size, status.st_mtime_ns
        return
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            elif entry.name.endswith((".py", ".json", ".toml", ".so", ".pyd")):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns
