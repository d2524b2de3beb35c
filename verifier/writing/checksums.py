"""The list of a report's files, which says of any copy whether it is whole: `sha256sum --check report.sha256`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePath

LIST = "report.sha256"
_LINE = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64})  (?P<name>.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def as_list(files: Mapping[str, bytes]) -> bytes:
    """Return the checksums in the format of coreutils, in the order of the names."""
    lines = []
    for name in sorted(files):
        escaped = "".join(_ESCAPES.get(character, character) for character in name)
        mark = "\\" if escaped != name else ""
        lines.append(f"{mark}{hashlib.sha256(files[name]).hexdigest()}  {escaped}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def read_list(path: Path) -> dict[str, str]:
    """Return digests by name; nothing where there is no such list, or one that is not of our making.

    Whoever wrote the project may have written the list too, so no name in it leads out of its folder.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    found = {}
    for line in text.split("\n")[:-1]:
        read = _LINE.fullmatch(line)
        if read is None:
            return {}
        name = _unescaped(read["name"]) if read["escaped"] else read["name"]
        if not is_below(name):
            return {}
        found[name] = read["digest"]
    return found


def is_below(name: str) -> bool:
    """Say whether the name is one of a file below the folder that it is relative to."""
    path = PurePath(name)
    return path.parts != () and not path.is_absolute() and ".." not in path.parts


def digest(path: Path) -> str | None:
    """Return the checksum of a file; None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _unescaped(name: str) -> str:
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nr]", lambda match: plain[match[0]], name)
