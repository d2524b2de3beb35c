"""Puts files that were edited and not saved where ruff can read them."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from verifier.api import EditedFile


@contextmanager
def as_on_disk(files: Collection[EditedFile]) -> Iterator[Path]:
    """Yield a folder below which each file stands under its path; `..` in one stays below it."""
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        root = Path(scratch, *["x"] * max((file.path.count("../") for file in files), default=0))
        for file in files:
            place = Path(os.path.normpath(root / file.path))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.data or b"")
        yield root
