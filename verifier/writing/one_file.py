"""Replace one file that may be anybody's: the old one or the new one, whole, at every moment."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from verifier.errors import OutputError


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with the rights that it had; a link keeps pointing to it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _replace(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        else:
            Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
