"""What a stage looked at besides the files of its task: noted while it works, so that a later run can compare."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verifier.cache.stamps import Stamp, kind_of, settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from verifier.sources import SourceFile

_PASSED_OVER = "__pycache__"  # appears whenever somebody imports something


@dataclass(slots=True)
class Seen:
    """Files read, folders listed, names asked about, by absolute path, and the rest of the project.

    Args:
        files: stamp where it can be relied on, digest of the bytes; neither: it could not be read.
        folders: the same of a folder and what is in it.
        kinds: what was at a path (`stamps.kind_of`).
        rest: digest of the project's Python files outside the task, once they were asked for.
        spoiled: why the outcome may be another one next time, although nothing has changed.
    """

    files: dict[str, tuple[Stamp | None, str | None]] = field(default_factory=dict)
    folders: dict[str, tuple[Stamp | None, str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    rest: str | None = None
    spoiled: str = ""

    def merge(self, other: Seen) -> None:
        """Take over what another process has seen; two that saw different things saw a tree that was changing."""
        mine: dict[str, object] = {**self.files, **self.folders}
        for path, (_, digest) in (*other.files.items(), *other.folders.items()):
            known = mine.get(path)
            if isinstance(known, tuple) and known[1] != digest:
                self.spoiled = f"{path} changed meanwhile"
        self.files |= other.files
        self.folders |= other.folders
        self.kinds |= other.kinds
        self.rest = self.rest or other.rest
        self.spoiled = self.spoiled or other.spoiled


_noting: list[Seen] = []  # the last is of what is being established now; forked workers have a copy


def start() -> None:
    """Begin to note what is looked at from now on; who was noting before is told nothing of it."""
    _noting.append(Seen())


def stop() -> Seen:
    """Return what was noted since `start`."""
    return _noting.pop()


def taken_notes() -> Seen | None:
    """Return what was noted since this was asked last: what a worker sends with its answer."""
    if not _noting:
        return None
    found, _noting[-1] = _noting[-1], Seen()
    return found


def add_notes(other: Seen | None) -> None:
    """Note what a worker has seen."""
    if other is not None and _noting:
        _noting[-1].merge(other)


def note_read(path: Path, status: os.stat_result, data: bytes) -> None:
    """Note a file that was read; `status` is from before."""
    if _noting:
        _noting[-1].files[str(path)] = settled(status), hashlib.sha256(data).hexdigest()


def note_unread(path: Path, error: OSError | ValueError) -> None:
    """Note a file that could not be read; a name that no file can have needs no note."""
    if not _noting or not isinstance(error, OSError):
        return
    stamp: Stamp | None = None
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        try:
            stamp = settled(path.stat())
        except OSError:
            stamp = None
        if stamp is None:
            _noting[-1].spoiled = f"{path} could not be read"
    _noting[-1].files[str(path)] = stamp, None


def rest_digest(files: Sequence[SourceFile]) -> str:
    """Return a digest of the project's Python files outside the task."""
    rows = (f"{file.path}\0{file.problem or file.sha256}" for file in files)
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


def note_rest(files: Sequence[SourceFile]) -> None:
    """Note the project's Python files outside the task, as they were asked for."""
    if _noting and _noting[-1].rest is None:
        _noting[-1].rest = rest_digest(files)


def may_differ_next_time(reason: str) -> None:
    """Say that what is being established now depends on the moment: it is not kept."""
    if _noting:
        _noting[-1].spoiled = reason


def to_list(folder: str | Path) -> None:
    """Note a folder whose names are about to be listed."""
    if _noting and str(folder) not in _noting[-1].folders:
        _noting[-1].folders[str(folder)] = look_at_folder(str(folder))


def is_file(path: str | Path) -> bool:
    """Say whether there is a regular file, and note the answer."""
    return _kind(str(path)) == "f"


def is_folder(path: str | Path) -> bool:
    """Say whether there is a folder, and note the answer."""
    return _kind(str(path)) == "d"


def is_there(path: str | Path) -> bool:
    """Say whether there is anything, and note the answer."""
    return _kind(str(path)) != ""


def walk_folders(top: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk like `os.walk`, folder, names of folders, names of files, and note every folder."""
    pending = [str(top)]
    while pending:
        folder = pending.pop()
        to_list(folder)
        _, below, files = next(os.walk(folder), (folder, [], []))
        yield folder, below, files
        inside = (os.path.join(folder, name) for name in below)  # noqa: PTH118 - thousands of them
        pending += reversed([path for path in inside if not os.path.islink(path)])  # noqa: PTH114


def skipped(path: str | Path) -> None:
    """Note something because of which a folder was not looked into."""
    if _noting:
        _noting[-1].kinds[str(path)] = kind_of(str(path))
        if os.path.islink(path):  # noqa: PTH114
            _noting[-1].spoiled = f"{path} is a link"


def look_at_folder(folder: str) -> tuple[Stamp | None, str]:
    """Return the stamp of a folder, where that tells all that its listing depends on, and a digest of the listing."""
    try:
        stamp = settled(os.stat(folder))  # noqa: PTH116
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError):
        return None, ""
    rows = []
    for entry in found:
        linked = entry.is_symlink()
        if linked:  # what it leads to may change without a trace in this folder
            stamp = None
        if entry.name != _PASSED_OVER:
            rows.append(f"{'l' if linked else ''}{_entry_kind(entry)}{entry.name}")
    return stamp, hashlib.sha256("\0".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


def _entry_kind(entry: os.DirEntry[str]) -> str:
    try:
        return "d" if entry.is_dir() else "f" if entry.is_file() else "o"
    except OSError:
        return "o"


def _kind(path: str) -> str:
    kind = kind_of(path)
    if _noting:
        _noting[-1].kinds[path] = kind
    return kind
