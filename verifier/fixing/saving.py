"""Puts edited files in the place of the old ones: each is the old one or the new one, whole, at every moment."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.errors import OutputError
from verifier.sources import read_regular
from verifier.writing.workshop import sync

if TYPE_CHECKING:
    from collections.abc import Sequence


def save(files: Sequence[tuple[Path, bytes, bytes]]) -> None:
    """Write (path, old bytes, new bytes), all of them or, where one cannot be written, none.

    Modes are kept; where a path is a link, the file that it leads to is replaced.

    Raises:
        OutputError: a file cannot be written, or is not what it was when it was read.
    """
    ready: list[tuple[Path, Path, bytes]] = []
    try:
        for path, old, new in files:
            target = Path(os.path.realpath(path))
            _check_unchanged(path, target, old)
            ready.append((_beside(path, target, new), target, old))
        for number, (temporary, target, _) in enumerate(ready):
            try:
                temporary.replace(target)
            except OSError as error:
                _put_back(ready[:number])
                raise OutputError(
                    f"{target} cannot be replaced: {error.strerror or error}; no file was changed"
                ) from error
        for folder in {target.parent for _, target, _ in ready}:
            sync(folder)
    finally:
        for temporary, _, _ in ready:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _check_unchanged(path: Path, target: Path, old: bytes) -> None:
    try:
        now = read_regular(target)
    except OSError as error:
        raise OutputError(f"{path} cannot be read any more: {error.strerror or error}; no file was changed") from error
    if now != old:
        raise OutputError(
            f"{path} was changed by somebody else while it was being fixed; no file was changed, run again"
        )


def _beside(path: Path, target: Path, data: bytes) -> Path:
    """Return a new file with the old one's mode, on the same file system."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "it is write-protected")
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".verify", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                Path(name).chmod(mode)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; no file was changed") from error
    return Path(name)


def _put_back(done: Sequence[tuple[Path, Path, bytes]]) -> None:
    for _, target, old in done:
        _beside(target, target, old).replace(target)
