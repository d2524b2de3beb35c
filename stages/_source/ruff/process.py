"""Decides what ruff may use while it reads files, and names the file that it does not survive."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from stages._source.bounded import Bounds, run_bounded
from stages._source.ruff.binary import environment
from stages._source.ruff.diagnostics import Diagnostic, read_lines
from verifier.api import may_differ_next_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stages._source.ruff.binary import Ruff

_CHUNK = 400  # files: the arguments of one call stay far below any system's limit
_MEMORY_BYTES = 4 << 30
_OUTPUT_BYTES = 64 << 20
_CHUNK_S, _SMALL_S, _ALL_S = 60.0, 10.0, 180.0
_ANSWERED = (0, 1)


class RuffError(Exception):
    """This ruff does not take our options."""


@dataclass(slots=True)
class Read:
    """What ruff said about the files it survived, and why it read the others not at all."""

    found: list[Diagnostic] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def read_all(
    ruff: Ruff,
    root: Path,
    paths: Sequence[str],
    *,
    target: str,
    threads: int,
    select: Sequence[str],
    stopped: threading.Event | None = None,
) -> Read:
    """Run ruff over every path. One that kills it is found by halving; the others keep their results.

    Args:
        stopped: once it is set, ruff is ended and what was not read yet is not read any more.

    Raises:
        RuffError: it refuses our options whatever the files.
    """
    command = [
        str(ruff.path), "check", "--isolated", "--no-cache", "--no-fix", "--exit-zero", "--quiet",
        "--output-format", "json-lines", "--target-version", target, "--select", ",".join(select),
    ]  # fmt: skip
    stopped = stopped or threading.Event()
    tried = False
    read = Read(unread={path: "its name is not UTF-8" for path in paths if not _is_text(path)})
    good = [path for path in paths if path not in read.unread]
    todo = [good[start : start + _CHUNK] for start in range(0, len(good), _CHUNK)]
    deadline = time.monotonic() + _ALL_S
    while todo:
        chunk = todo.pop()
        limit_s = min(_CHUNK_S if len(chunk) == _CHUNK else max(_SMALL_S, _CHUNK_S * len(chunk) / _CHUNK), _CHUNK_S)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            may_differ_next_time("lint took too long")
            read.unread |= dict.fromkeys(chunk, "the time for lint was used up before its turn")
            continue
        arguments = [*command, "--", *(f"./{path}" for path in chunk)]
        output, death = _run(arguments, root, threads, min(limit_s, left_s), stopped)
        if death:
            may_differ_next_time(death)
        if death and not tried and not stopped.is_set():
            _try_options(command, root, stopped)
            tried = True
        if not death:
            read.found += read_lines(output, root, chunk)
        elif len(chunk) == 1 or stopped.is_set():
            read.unread |= dict.fromkeys(chunk, death)
        else:
            middle = len(chunk) // 2
            todo += [chunk[:middle], chunk[middle:]]
    return read


def _try_options(command: list[str], root: Path, stopped: threading.Event) -> None:
    """Have it read nothing, from standard input: what fails here is no file's fault."""
    with tempfile.TemporaryFile() as complaint:
        _, death = _run([*command, "-"], root, 1, _SMALL_S, stopped, complaint)
        if death:
            complaint.seek(0)
            lines = complaint.read(4096).decode("utf-8", "replace").strip().splitlines()
            raise RuffError(lines[-1].strip() if lines else death)


def _run(
    command: list[str],
    root: Path,
    threads: int,
    limit_s: float,
    stopped: threading.Event,
    complaint: IO[bytes] | None = None,
) -> tuple[bytes, str]:
    """Return what one call wrote, and how it died if it did."""
    bounds = Bounds(time_s=limit_s, memory_bytes=_MEMORY_BYTES, output_bytes=_OUTPUT_BYTES, answers=_ANSWERED)
    return run_bounded(command, root, environment(threads), bounds, stopped=stopped, complaint=complaint, name="ruff")


def _is_text(path: str) -> bool:
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
