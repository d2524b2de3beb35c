"""Where reports go: one folder a task, or standard output for a single document."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.errors import OutputError, UsageError
from verifier.nearest import suggestion

if TYPE_CHECKING:
    from verifier.model.report import Renderer, RunReport

DEFAULT_FORMATS = ("md", "json")


def parse_formats(values: Sequence[str], renderers: Mapping[str, Renderer]) -> tuple[Renderer, ...]:
    """Return the renderers that `--format` names (repeatable, comma lists), each once, in the order given.

    Raises:
        UsageError: no plugin brings a format of that name.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in renderers:
            raise UsageError(f'there is no report format "{name}" in this version{suggestion(name, renderers)}')
    return tuple(renderers[name] for name in dict.fromkeys(names))


def default_folder(root: Path, task: str) -> Path:
    return root / ".verify" / "reports" / task


def write_report(report: RunReport, formats: Sequence[Renderer], folder: Path, *, clean: bool) -> tuple[Path, ...]:
    """Write every format into `folder`, each file whole or not at all, and return the main documents' paths.

    Everything is rendered before anything is written, so that a format that fails leaves the old report in place.

    Args:
        clean: remove what an earlier run left there; only for the folder that is ours alone.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    main = {renderer.filename: renderer.render(report) for renderer in formats}
    files = dict(main)
    for renderer in formats:
        files.update(renderer.extras(report))
    try:
        _write_all(files, folder, clean=clean)
    except OSError as error:
        raise OutputError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return tuple(folder / name for name in main)


def _write_all(files: Mapping[str, str], folder: Path, *, clean: bool) -> None:
    stale = {path for path in folder.rglob("*") if path.is_file()} if clean and folder.is_dir() else set()
    for name, text in files.items():
        _write(folder / name, text)
        stale.discard(folder / name)
    for path in stale:
        path.unlink(missing_ok=True)


def print_document(report: RunReport, renderer: Renderer) -> None:
    """Write one document to standard output, and nothing else."""
    data = renderer.render(report).encode("utf-8", "backslashreplace")
    sys.stdout.flush()
    sys.stdout.buffer.write(data if data.endswith(b"\n") else data + b"\n")
    sys.stdout.buffer.flush()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
