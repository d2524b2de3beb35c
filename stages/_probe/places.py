"""Where the code of a task is looked up when it runs, and whether it needs torch."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import StageContext

_IMPORTS_TORCH = re.compile(rb"^[ \t]*(?:import|from)[ \t]+torch\b", re.MULTILINE)


def project_paths(context: StageContext) -> tuple[str, ...]:
    """Return the folders of the project that go on sys.path, in order."""
    folders = search_folders(context.config.source_roots)
    return tuple(str(context.root / folder) for folder in folders if (context.root / folder).is_dir())


def search_folders(source_roots: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of the project that Python searches, relative to the root, in order."""
    return tuple(dict.fromkeys(PurePosixPath(folder).as_posix() for folder in (".", *source_roots, "src")))


def imports_torch(context: StageContext) -> bool:
    """Say whether some file of the task or of its tests imports torch."""
    return any(_IMPORTS_TORCH.search(file.data or b"") for file in context.sources.python())
