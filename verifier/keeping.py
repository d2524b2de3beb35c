"""Decides whether a run is kept as a baseline, and puts its files in their places, each as a whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verifier.errors import BaselineError, OutputError
from verifier.model.report import Verdict

if TYPE_CHECKING:
    from verifier.model.baseline import KeptFile
    from verifier.model.report import RunReport
    from verifier.plugins import Plugins

ANYWAY = "--save-baseline-anyway"


def keep(report: RunReport, root: Path, plugins: Plugins, reason: str | None) -> tuple[str, ...]:
    """Write what plugins keep of a run, and return a line for each file.

    Args:
        reason: of the user, to keep a run that would else be refused.

    Raises:
        BaselineError: the run is not fit to be kept, or nothing of it can be.
        OutputError: a file cannot be written. Those that stood there before are as they were.
    """
    if report.verdict is not Verdict.PASS and reason is None:
        raise BaselineError(
            f"no baseline was saved: {report.task} is {report.verdict}; make it pass, or say why it is kept all the "
            f'same: {ANYWAY} "REASON"'
        )
    answers = plugins.manager.hook.verifier_baseline(report=report, root=root, reason=reason)
    files = [file for answer in answers for file in answer]
    if not files:
        raise BaselineError(
            f"no baseline was saved: {report.task} measured nothing that could be kept; it needs the stage "
            "`performance`, and workloads or scripts"
        )
    return tuple(_write(root, file) for file in sorted(files, key=lambda file: file.path))


def _write(root: Path, file: KeptFile) -> str:
    target = root / _checked(file.path)
    inside = Path(os.path.realpath(root))
    if inside not in Path(os.path.realpath(target)).parents:
        raise OutputError(f"{target}: it leads out of the project, so no baseline is written there; remove the link")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, file.text.encode("utf-8"))
    except OSError as error:
        raise OutputError(
            f"{target}: the baseline cannot be written: {error.strerror or error}; what stood there is unchanged"
        ) from None
    return f"baseline saved: {file.path}{f' ({file.says})' if file.says else ''}"


def _checked(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"a plugin wants to keep {path!r}, which is not below the project")
    return pure


def _replace(target: Path, data: bytes) -> None:
    """Put the bytes there as a whole: a run that is killed leaves the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
