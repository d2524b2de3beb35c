"""A folder for one probe: nobody takes it for left over while its maker lives, and the next run removes it if it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stages._probe.processes import kill_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "VERIFY_PROBE_RUN"  # environment variable of every process of a probe: the name of its scratch folder
INSIDE, WITNESS = "inside", "witness"  # what the code under test may write; what is held out to see that it cannot
_PREFIX = "verify-probe-"
# What programs must be able to write besides their own folders: sinks, terminals, shared memory, accelerators.
_DEVICES = (
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"),
    *("/dev/shm", "/dev/kfd", "/dev/dri", "/dev/accel", "/dev/infiniband"),
)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder with `inside`, which has `home` and `tmp`, and `witness` in it; it is gone afterwards.

    Three parties remove it: this context; the keeper, when this process is killed; where both are killed, the next
    run (`sweep`). A lock on the folder says that its maker lives: the kernel lets go of it with the process, whatever
    ends that, and shows it to other containers that share the folder.
    """
    sweep(Path(tempfile.gettempdir()))
    folder, lock = _locked_folder()
    try:
        for name in (WITNESS, INSIDE, f"{INSIDE}/home", f"{INSIDE}/tmp"):
            (folder / name).mkdir()
        yield folder
    finally:
        remove(folder)
        os.close(lock)


def writable(inside: Path) -> tuple[str, ...]:
    """Return what the code under test may write: its scratch folder first, then devices."""
    accelerators = sorted(str(path) for path in Path("/dev").glob("nvidia*"))
    return (str(inside), *_DEVICES, *accelerators)


def marker(folder: Path) -> str:
    """Return the entry of the environment by which processes of the probe are found, wherever they hang in the tree."""
    return f"{MARKER}={folder.name}"


def sweep(place: Path) -> None:
    """Remove the scratch folders in `place` whose maker is dead, and kill what still runs in one of them."""
    import fcntl  # noqa: PLC0415 - not on Windows, where no code is run

    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # it is somebody else's, or another run has just removed it
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            folder.chmod(0o700)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                kill_marked(marker(folder))
                remove(folder)
            finally:
                os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    import fcntl  # noqa: PLC0415

    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another run took it for left over and swept it
            continue
        with contextlib.suppress(OSError):  # a file system without locks: nobody can take the folder for left over
            fcntl.flock(lock, fcntl.LOCK_SH)
        if folder.exists():  # else it was swept before it was locked
            return folder, lock
        os.close(lock)


def remove(folder: Path) -> None:
    """Delete the scratch folder, also where the code under test has taken rights away."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    for current, folders, _files in os.walk(folder):
        for name in folders:
            path = Path(current, name)
            with contextlib.suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
