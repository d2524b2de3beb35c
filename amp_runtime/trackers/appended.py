"""A text file that grows by whole lines, each of them handed to the system in one call."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 1 << 16


class AppendedFile:
    """Opened by the first line; its folder is made if need be.

    A program that dies leaves whole lines, as the system has them. A machine that dies may leave half of the last one:
    when such a file is opened again, that half is cut off.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def append(self, line: str) -> None:
        """Add a line, which must have no line break of its own. Raises OSError where it cannot be written whole."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            drop_half_line(self.path)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        rest = memoryview(line.encode() + b"\n")
        while rest:  # a full disk takes a part of it and refuses the rest
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Let go of the file; another line would open it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def drop_half_line(path: Path) -> None:
    """Cut off what follows the last line break."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        keep, place = 0, end
        while place > 0 and not keep:
            begin = max(0, place - _BLOCK)
            file.seek(begin)
            found = file.read(place - begin).rfind(b"\n")
            keep = begin + found + 1 if found >= 0 else 0
            place = begin
        if keep != end:
            file.truncate(keep)
