"""A hidden folder beside what is replaced: who works in it is alone there, and tidies up after one that was killed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from verifier.errors import OutputError

NAME = ".verify-writing"
_LOCK = "lock"
_PATIENCE_S = 60.0  # a report is written in milliseconds: whoever takes longer is stopped, or its disk is
_LOOK_EVERY_S = 0.02
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextlib.contextmanager
def workshop(place: Path, tidy: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a folder below `place`, on its file system, which no other run uses now; it is gone afterwards.

    Args:
        tidy: puts right and removes what a run has left in the folder. It is called before the folder is used, for
            runs that were killed, and after that for this one, also when it failed.

    Raises:
        OutputError: another run does not let go of the folder, or something else has its name.
        OSError: the folder cannot be made or emptied.
    """
    place.mkdir(parents=True, exist_ok=True)
    work = place / NAME
    handle = _locked(work)
    try:
        tidy(work)
        try:
            yield work
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to tell; the next run tidies up
                tidy(work)
                _leave(work)
            raise
        tidy(work)
        _leave(work)
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there. Links are never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def is_folder(path: Path) -> bool:
    """Say whether it is a folder itself, and no link to one: what a hostile project put there leads nowhere."""
    return path.is_dir() and not path.is_symlink()


def sync(folder: Path) -> None:
    """Have the disk remember the names in a folder, where the file system can."""
    if sys.platform == "win32":
        return  # folders cannot be opened there
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(handle)


def _locked(work: Path) -> int:
    """Return an open, locked file in the folder, which the kernel lets go of when this process ends."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        if work.is_symlink():
            raise OutputError(f"{work} is a link, and reports are not written through it; remove it")
        with contextlib.suppress(FileNotFoundError):  # who had the folder has removed it just now
            with contextlib.suppress(FileExistsError):
                work.mkdir()
            handle = os.open(work / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            if _take(handle) and _is_still(handle, work / _LOCK):
                return handle
            os.close(handle)
        time.sleep(_LOOK_EVERY_S)
    raise OutputError(f"another run of verify has been writing in {work} for {_PATIENCE_S:.0f} s; end it and try again")


def _take(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD  # a file system without locks: two runs at once are not told apart there
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Say whether the locked file is the one that others find, and not one that its last owner has removed."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _leave(work: Path) -> None:
    if sys.platform == "win32":
        return  # a file that is open keeps its name there
    (work / _LOCK).unlink()
    try:
        work.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # the next run stands in the door already
            raise
