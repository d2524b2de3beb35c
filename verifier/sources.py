"""The files under verification: found once, read once, digested once."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from verifier.cache import seen
from verifier.cache.stamps import settled
from verifier.errors import MachineError

if TYPE_CHECKING:
    from verifier.cache.cache import Cache
    from verifier.cache.records import Record
    from verifier.cache.stamps import Stamp

PYTHON = (".py", ".pyi", ".pyw")
NOTEBOOK = ".ipynb"
MARK = b"verify:"  # begins every comment that is meant for the verifier
_MIB = 1 << 20
_SOURCE_LIMIT = 64 * _MIB  # no module is larger, and compiling one takes a hundred times its size
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def read_regular(path: Path, limit: int | None = _SOURCE_LIMIT) -> bytes:
    """Return the bytes of a regular file. Never waits for a pipe or a device, never reads without end.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than `limit` bytes.
    """
    try:
        data, status = read_with_status(path, limit)
    except OSError as error:
        seen.note_unread(path, error)
        raise
    seen.note_read(path, status, data)
    return data


def read_with_status(path: Path, limit: int | None) -> tuple[bytes, os.stat_result]:
    """Return what a file holds, and its status from before it was read. Whoever caches outcomes is not told."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    handle = os.open(path, os.O_RDONLY | _NEVER_WAIT)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):  # it was replaced in between
            raise OSError(errno.EINVAL, "it is not a regular file")
        return _read(handle, status.st_size, limit), status
    finally:
        os.close(handle)


def _read(handle: int, expected: int, limit: int | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    while limit is None or size <= limit:
        if limit is not None and expected > limit:
            break
        part = os.read(handle, max(expected + 1 - size, 4096))
        if not part:
            return b"".join(parts) if len(parts) != 1 else parts[0]
        parts.append(part)
        size += len(part)
    raise OSError(errno.EFBIG, f"it is larger than {(limit or 0) // _MIB} MiB")


class SourceFile:
    """One file. `data` is None where it could not be read, and `problem` then says why.

    Args:
        named: somebody asked for this very file, so that a script without a suffix counts as Python.
        noted: whoever caches outcomes is told of it: it belongs neither to the task nor to the rest of the project.
    """

    is_replaced = False  # `data` is not what stands on disk
    stamp: Stamp | None = None  # of the file that was read, where that tells it from any other

    def __init__(self, path: str, absolute: Path, *, named: bool = False, noted: bool = False) -> None:
        self.path = path  # POSIX, relative to the root
        self.absolute = absolute
        self.data: bytes | None = None
        self.problem: str | None = None
        try:
            limit = _SOURCE_LIMIT if path.endswith((*PYTHON, NOTEBOOK)) else None
            self.data, status = read_with_status(absolute, limit)
            self.stamp = settled(status)
            if noted:
                seen.note_read(absolute, status, self.data)
        except (OSError, ValueError) as error:
            self.problem = _why(absolute, error)
            if noted:
                seen.note_unread(absolute, error)
        except MemoryError:
            seen.may_differ_next_time("there was not enough memory")
            self.problem = "there is not enough memory to read it"
        self.is_python = path.endswith(PYTHON) or (named and _is_script(path, self.data))

    def again(self) -> Self:
        """Return another object for the same file, which is not read, counted or digested again."""
        twin = object.__new__(type(self))
        twin.__dict__ = self.__dict__
        return twin

    def parts(self) -> Iterator[bytes]:
        """Yield the texts that CPython reads each by itself, every line at its own number: the file, as a rule."""
        yield self.data or b""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data or b"").hexdigest()

    @cached_property
    def line_count(self) -> int:
        data = self.data or b""
        return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))

    @cached_property
    def established(self) -> dict[str, Any]:
        """What follows from path and content alone, by who found it: it holds for every task that has the file."""
        return {}

    @property
    def is_marked(self) -> bool:
        """Whether it may hold comments that are meant for the verifier."""
        return MARK in (self.data or b"")

    @property
    def text_lines(self) -> list[str]:
        """The lines as CPython counts them: in the declared encoding, and not split at form feeds."""
        return self.lines_of(self.data or b"")

    @staticmethod
    def lines_of(data: bytes) -> list[str]:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            text = data.decode(encoding, "replace")
        except (SyntaxError, LookupError, ValueError):  # no such encoding, or none of text
            text = data.decode("utf-8", "replace")
        return re.split(r"\r\n|\r|\n", text) if "\r" in text else text.split("\n")


class KnownFile(SourceFile):
    """A file that an earlier run has read and that is still the same: it is read again when somebody asks for it."""

    def __init__(self, path: str, absolute: str, record: Record) -> None:
        self.path = path
        self._place = absolute
        self.problem = None
        self.is_python = True
        self.stamp = record.stamp
        self._record = record
        self._data: bytes | None = None

    @property
    def absolute(self) -> Path:  # type: ignore[override]
        return Path(self._place)

    @property
    def data(self) -> bytes | None:
        """The bytes of the file.

        Raises:
            MachineError: they are not those of the earlier run any more.
        """
        if self._data is None:
            self._data = self._again()
        return self._data

    @data.setter
    def data(self, value: bytes | None) -> None:
        self._data = value

    def _again(self) -> bytes:
        try:
            found, _ = read_with_status(self.absolute, _SOURCE_LIMIT)
        except (OSError, ValueError) as error:
            raise MachineError(f"{self.path} changed while it was verified: {_why(self.absolute, error)}") from None
        if hashlib.sha256(found).hexdigest() != self._record.sha256:
            raise MachineError(f"{self.path} changed while it was verified; run again when nothing writes to it")
        return found

    @cached_property
    def sha256(self) -> str:
        return self._record.sha256

    @cached_property
    def line_count(self) -> int:
        return self._record.lines

    @property
    def is_marked(self) -> bool:
        return self._record.marked


class EditedFile(SourceFile):
    """A file as it would be with other contents than those on disk."""

    def __init__(self, file: SourceFile, data: bytes) -> None:
        self.path = file.path
        self.absolute = file.absolute
        self.data = data
        self.problem = None
        self.is_python = file.is_python


class UnlistedFolder(SourceFile):
    """A folder whose files could not be listed: it stands for all that may lie below it."""

    def __init__(self, path: str, absolute: Path, reason: str) -> None:
        self.path = path
        self.absolute = absolute
        self.data = None
        self.is_python = False
        self.problem = f"it is a folder that cannot be listed: {reason}"


class SourceTree:
    """Every selected file, in path order. Forked workers inherit the bytes, so nothing is read twice."""

    def __init__(self, root: Path, files: Iterable[SourceFile]) -> None:
        self.root = root
        self.files: tuple[SourceFile, ...] = tuple(sorted(files, key=lambda file: file.path))
        self._by_path = {file.path: file for file in self.files}
        self.rest: tuple[SourceFile, ...] | None = None  # the project's other Python files, once somebody asked
        self.walked: Sequence[str] | None = None  # the paths of all of its files, once somebody asked
        self.checkout: tuple[str | None, bool | None] | None = None  # commit and state of the tree, if known
        self.file: Callable[[str], SourceFile] = lambda path: SourceFile(path, root / path)  # of the project, any
        self.cache: Cache | None = None  # what earlier runs have established, where that may be used

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[SourceFile]:
        return iter(self.files)

    def get(self, path: str) -> SourceFile | None:
        return self._by_path.get(path)

    def python(self) -> tuple[SourceFile, ...]:
        """Return the files that are Python source by name, and scripts that were named themselves."""
        return tuple(file for file in self.files if file.is_python)

    def others_unread(self) -> tuple[SourceFile, ...]:
        """Return what is not Python and could not be read, folders that could not be listed among it."""
        return tuple(file for file in self.files if not file.is_python and file.data is None)


def _is_script(path: str, data: bytes | None) -> bool:
    if "." not in path.rpartition("/")[2]:
        return True
    first, _, _ = (data or b"").partition(b"\n")
    return first.startswith(b"#!") and b"python" in first


def _why(path: Path, error: OSError | ValueError) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return "it is a link that leads nowhere"
    return reason
