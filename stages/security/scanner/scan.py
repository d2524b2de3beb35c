"""Decides which files a scanner reads, with which bounds, and what a run of it comes to."""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stages._source.bounded import Bounds, run_bounded
from stages._source.programs import bare_environment
from stages.security.scanner import program
from stages.security.scanner.answers import AnswerError, read_answer
from stages.security.texts import raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.security.scanner.answers import Hit
    from stages.security.scanner.program import Scanner
    from verifier.api import SourceFile, StageContext

_BOUNDS = Bounds(time_s=120.0, memory_bytes=8 << 30, output_bytes=64 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What scanning came to. `reason` says why not everything was read; "" where it was."""

    scanner: Scanner | None = None
    hits: list[Hit] = field(default_factory=list)
    files: int = 0
    reason: str = ""


class Scanning:
    """A scanner at work beside the rest of the stage. A context: it is ended when it is left."""

    def __init__(self, context: StageContext, files: Sequence[SourceFile]) -> None:
        self._context = context
        self._files = [file for file in files if _can_be_named(file.path)]
        self._unnamed = len(files) - len(self._files)
        self._stopped = threading.Event()
        self._result: Scanned | BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="secrets", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def result(self) -> Scanned:
        """Wait for the scanner and return what it found."""
        self._thread.join()
        if isinstance(self._result, Scanned):
            return self._result
        raise self._result or RuntimeError("the scanner was not started")

    def _work(self) -> None:
        try:
            self._result = self._scan()
        except BaseException as error:  # raised again where the result is asked for
            self._result = error

    def _scan(self) -> Scanned:
        scanner = program.find_scanner(self._context.root)
        if scanner is None:
            return Scanned(reason=f"no secret scanner is installed; {program.REMEDY}")
        if not scanner.usable:
            return Scanned(reason=f"betterleaks {scanner.version} is too old; {program.REMEDY}")
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            known = _laid_out(self._files, Path(folder))
            hits, reason = self._read(scanner, Path(folder), known)
        reason = reason or (f"{self._unnamed} files whose names are not UTF-8 were not read" if self._unnamed else "")
        return Scanned(scanner=scanner, hits=sorted(set(hits)), files=len(known), reason=reason)

    def _read(self, scanner: Scanner, folder: Path, known: Mapping[str, str]) -> tuple[list[Hit], str]:
        command = [
            str(scanner.path), "fs", "--no-banner", "--jsonl", "--log-level=error", "--no-color",
            "--no-allow-signatures", "--max-archive-depth=0", f"--jobs={max(1, self._context.options.jobs)}", ".",
        ]  # fmt: skip
        output, death = run_bounded(
            command, folder, bare_environment(), _BOUNDS, name="betterleaks", stopped=self._stopped
        )
        if death:
            return [], f"the files were not read: {death}"
        try:
            return read_answer(output, known), ""
        except AnswerError as error:
            return [], f"betterleaks {scanner.version} was not understood: {error}"


def _laid_out(files: Sequence[SourceFile], folder: Path) -> dict[str, str]:
    """Put what was read of each file below a folder, and return the name there -> its path in the project.

    A scanner needs minutes for a thousand files that are named one by one, and a second for a folder.
    """
    known: dict[str, str] = {}
    for file in files:
        name = os.path.normpath(file.path.replace("../", "_above/"))
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(raw(file))
        known[name] = file.path
    return known


def _can_be_named(path: str) -> bool:
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
