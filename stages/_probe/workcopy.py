"""Copy a project for one run, so that whatever the code does to its files, it does not do it to the user's.

Copied are the files that git tracks or would track, the task's own, and ignored ones that belong to running the code:
built extensions, generated modules, small data. Large data is linked; where Landlock is active the links are read-only,
as everything outside the scratch folder is.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stages._probe.listing import Listing, is_code
from verifier.api import StageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.api import Json

LARGE_FILE = 16 << 20  # bytes; a larger file is linked
LARGE_FOLDER = 1000  # files; a larger folder without code is linked as a whole, and so is one of more than
LARGE_FOLDER_BYTES = 64 << 20
MOST_FILES = 20_000  # that are copied of a project, and bytes; what is beyond is linked, but for the task's own files
MOST_BYTES = 1 << 30
_SURVEYED = 20_000  # entries of a folder that are looked at for code before it is taken for data
_BLOCK = 1 << 20
_SHARE_FROM = 1 << 16  # bytes from which the file system is asked to share blocks instead of copying them


Content = bytes  # `WorkCopy` has an attribute of that name


@dataclass(slots=True, kw_only=True)
class WorkCopy:
    """A project's copy. `root` is where it stands; `linked` and `unreadable` are paths relative to the root.

    Args:
        stamps: of each copied source file, what changes when somebody writes to it, whatever times he sets.
    """

    root: Path
    files: int = 0
    bytes: int = 0
    linked: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)

    def facts(self) -> Json:
        return {
            "files": self.files,
            "bytes": self.bytes,
            "linked": [*self.linked[:20]],
            "linked_in_all": len(self.linked),
            "unreadable": [*self.unreadable[:20]],
        }

    def replace(self, path: str, content: Content) -> None:
        """Put another content into a file of the copy.

        Raises:
            StageError: it cannot be written.
        """
        target = self.root / path
        try:
            target.unlink(missing_ok=True)  # it may be a link to the user's own file
            target.write_bytes(content)
            self.stamps[path] = _stamp(target.lstat())
        except OSError as error:
            raise StageError(f"{path} cannot be written to the copy of the project: {error}") from None

    def rewritten(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return which of these files somebody wrote to, or replaced, also where they hold the same again."""
        return tuple(path for path in paths if path in self.stamps and self._is_touched(path))

    def _is_touched(self, path: str) -> bool:
        try:
            return _stamp((self.root / path).lstat()) != self.stamps[path]
        except OSError:
            return True


def copy_project(root: Path, target: Path, listing: Listing, *, avoid: Path) -> WorkCopy:
    """Copy the project at `root` to `target`, which must not exist.

    Args:
        listing: which files belong to it.
        avoid: a folder that is left out wherever it lies: the one that holds the copy.

    Raises:
        StageError: the copy cannot be written.
    """
    copier = _Copier(root, listing, avoid, WorkCopy(root=target))
    try:
        target.mkdir(parents=True)
        copier.folder("")
    except OSError as error:
        raise StageError(f"the project cannot be copied to a scratch folder: {error}") from None
    return copier.made


class _Copier:
    def __init__(self, root: Path, listing: Listing, avoid: Path, made: WorkCopy) -> None:
        self._root, self._listing, self._avoid = str(root), listing, str(avoid)
        self.made = made
        self._target = str(made.root)

    def folder(self, inside: str) -> None:
        """Copy what is in a folder of the project; `inside` is its path relative to the root, "" for the root."""
        try:
            entries = sorted(os.scandir(os.path.join(self._root, inside)), key=self._order)  # noqa: PTH118
        except OSError:
            self.made.unreadable.append(inside)
            return
        for entry in entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_symlink():
                if self._listing.takes_file(path):
                    self._link_again(path)
            elif entry.is_dir(follow_symlinks=False):
                if entry.path != self._avoid and self._listing.takes_folder(path, entry.path):
                    self._subfolder(path, entry.path)
            elif entry.is_file(follow_symlinks=False) and self._listing.takes_file(path):
                self._file(path, entry.path)

    def _order(self, entry: os.DirEntry[str]) -> tuple[bool, str]:
        """Take what leads to the task's own files first: it must not be what the copy has no more room for."""
        path = os.path.relpath(entry.path, self._root)
        return not self._listing.is_own(path), entry.name

    def _subfolder(self, path: str, source: str) -> None:
        data = not self._listing.holds_code(path) and _is_data(source)
        if data or (self._is_full() and not self._listing.is_own(path)):
            self._link(path, source)
            return
        made = os.path.join(self._target, path)  # noqa: PTH118
        os.mkdir(made)  # noqa: PTH102
        self.folder(path)
        with contextlib.suppress(OSError):
            os.chmod(made, stat.S_IMODE(os.stat(source).st_mode) | stat.S_IRWXU)  # noqa: PTH101, PTH116

    def _file(self, path: str, source: str) -> None:
        target = os.path.join(self._target, path)  # noqa: PTH118
        if self._is_full() and not self._listing.is_own(path):
            self._link(path, source)
            return
        try:
            size = _copy_file(source, target)
        except PermissionError:
            self.made.unreadable.append(path)
            return
        except FileNotFoundError:  # it was there a moment ago
            return
        if size is None:
            self._link(path, source)
            return
        self.made.files += 1
        self.made.bytes += size
        if path.endswith(".py"):
            self.made.stamps[path] = _stamp(os.lstat(target))

    def _is_full(self) -> bool:
        return self.made.files >= MOST_FILES or self.made.bytes >= MOST_BYTES

    def _link(self, path: str, source: str) -> None:
        os.symlink(source, os.path.join(self._target, path))  # noqa: PTH118, PTH211
        self.made.linked.append(path)

    def _link_again(self, path: str) -> None:
        """Make a link like the project's: within the copy if it stays within the project, else to where it points."""
        source = os.path.join(self._root, path)  # noqa: PTH118
        goal = os.readlink(source)  # noqa: PTH115
        full = os.path.normpath(os.path.join(os.path.dirname(source), goal))  # noqa: PTH118, PTH120
        if full == self._root or full.startswith(self._root + os.sep):
            here = os.path.join(self._target, os.path.relpath(full, self._root))  # noqa: PTH118
            full = os.path.relpath(here, os.path.dirname(os.path.join(self._target, path)))  # noqa: PTH118, PTH120
        os.symlink(full, os.path.join(self._target, path))  # noqa: PTH118, PTH211


def _is_data(folder: str) -> bool:
    """Say whether a folder is large and holds no code: so many files, or bytes, before any code is seen."""
    files = size = seen = 0
    todo = [folder]
    while todo and seen < _SURVEYED:
        try:
            entries = list(os.scandir(todo.pop(0)))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            elif is_code(entry.name):
                return False
            else:
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
    return files > LARGE_FOLDER or size > LARGE_FOLDER_BYTES


def _copy_file(source: str, target: str) -> int | None:
    """Copy content, permissions and times; return the size, None for a file that is too large and was not copied."""
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(read)
        if status.st_size > LARGE_FILE:
            return None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        write = os.open(target, flags, stat.S_IMODE(status.st_mode) | stat.S_IWUSR | stat.S_IRUSR)
        try:
            _copy_bytes(read, write, status.st_size)
            os.utime(write, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(write)
    finally:
        os.close(read)
    return status.st_size


def _copy_bytes(read: int, write: int, size: int) -> None:
    if size >= _SHARE_FROM and hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # not between these two file systems
            while os.copy_file_range(read, write, _BLOCK << 6):
                pass
    while data := os.read(read, _BLOCK):
        os.write(write, data)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_ctime_ns
