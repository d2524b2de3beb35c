"""Write files where nobody looks yet, and have the disk remember them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from verifier.writing.workshop import sync


def stage(files: Mapping[str, bytes], folder: Path) -> None:
    """Write every file into a new folder, names relative to it, and sync them all.

    Raises:
        OSError: the folder exists, or something cannot be written.
    """
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for inner in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync(inner)
