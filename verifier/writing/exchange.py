"""Two folders swap their names in one step, where the kernel offers that."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)  # the last: a sandbox that knows no renameat2


def exchange(one: Path, other: Path) -> bool:
    """Swap two paths that both exist: renameat2(2) with RENAME_EXCHANGE, Linux 3.15.

    At every moment each of the two names leads to one of the two whole folders. False: this system, or the file
    system of the two, cannot do it.

    Raises:
        OSError: it can, and did not.
    """
    import ctypes  # noqa: PLC0415 - only a run that replaces a report needs it

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
