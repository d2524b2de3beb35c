"""Decides which files are searched for secrets, and with which bytes: configuration and notebooks as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import NotebookFile, others_of_project, read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.api import SourceFile, StageContext

_LARGEST = 4 << 20  # bytes: a larger text was written by no hand
_SUFFIXES = (
    *(".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".sh", ".bash", ".properties", ".tf"),
    *(".txt", ".service", ".slurm", ".sbatch", ".xml", ".netrc", ".pem", ".key"),
)
_NAMES = (".env", ".netrc", ".pypirc", "Dockerfile", "Makefile")


def searched(context: StageContext) -> Sequence[SourceFile]:
    """Return the files of the task, and of a declared task's project the configuration that git does not ignore."""
    chosen = list(context.sources)
    if context.task.name in context.config.tasks:
        chosen += others_of_project(context.config, context.sources, _is_configuration)
    return [file for file in chosen if file.data is not None and len(file.data) <= _LARGEST]


def raw(file: SourceFile) -> bytes:
    """Return the bytes as they stand on disk: of a notebook with its outputs."""
    if isinstance(file, NotebookFile) and file.notebook is not None:
        try:
            return read_regular(file.absolute, _LARGEST)
        except OSError:
            return file.data or b""
    return file.data or b""


def _is_configuration(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in _NAMES or name.startswith(".env.") or name.lower().endswith(_SUFFIXES)
