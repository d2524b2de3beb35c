"""Shut this process and all it starts into a Landlock domain: what it may write, which sockets, whom it may signal.

Landlock needs no privileges (docs.kernel.org/userspace-api/landlock.html); system calls and structures are those of the
kernel's `include/uapi/linux/landlock.h`. Reading stays allowed everywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture but alpha
_VERSION = 1  # flag of create_ruleset: say which ABI the kernel has
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_OLDEST_ABI = 2  # ABI 1 forbids every rename from one folder to another, which atomic saving needs

_WRITE_FILE = 1 << 1
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 13))  # remove and make: folders, files, devices, sockets, links
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract UNIX sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _call(number: int, *arguments: object) -> int:
    """Make a system call.

    Raises:
        OSError: the kernel refused it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    result = library.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


def abi() -> int:
    """Return the version of Landlock that the kernel offers; 0: none, or it is switched off."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except (OSError, AttributeError):
        return 0


def why_not() -> str | None:
    """Return why Landlock is of no use here, None where it is."""
    version = abi()
    if version == 0:
        return "the kernel does not offer Landlock"
    if version < _OLDEST_ABI:
        return "the kernel's Landlock is ABI 1, which forbids renames between folders; Linux 5.19 brings ABI 2"
    return None


def restrict(writable: Iterable[str], *, network: bool) -> None:
    """Deny this thread, and everything it starts from here on, what is not allowed. It cannot be taken back.

    Args:
        writable: folders and devices that may be written; what does not exist is passed over.
        network: TCP stays allowed.

    Raises:
        OSError: the kernel refused.
    """
    version = abi()
    rights = _WRITE_FILE | _CHANGE_FOLDER | _REFER | (_TRUNCATE if version >= 3 else 0)
    wanted = _Ruleset(rights, 0 if network or version < 4 else _TCP, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path in writable:
            _allow(ruleset, path, rights)
        _no_new_privileges()
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            folder = stat.S_ISDIR(os.fstat(place).st_mode)
            rule = _Beneath(rights if folder else rights & (_WRITE_FILE | _TRUNCATE), place)
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
        finally:
            os.close(place)


def _no_new_privileges() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
