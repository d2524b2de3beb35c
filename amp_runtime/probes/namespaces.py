"""Leave the machine's network behind: a user and a network namespace of our own, with a loopback that works.

Must happen while the process has one thread. It then holds every capability within the user namespace, which are given
up afterwards (`capabilities`). Root keeps its own numbers and all others, so that it reads on what only root can read.
"""

from __future__ import annotations

import _socket
import contextlib
import ctypes
import fcntl
import os
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def why_not(map_ids: Callable[[], bool]) -> str | None:
    """Try in a process of its own whether everything works here; return what does not, None where all does."""
    if not sys.platform.startswith("linux"):
        return "there are none on this platform"
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(read_end)
            os.write(write_end, (_tried(map_ids) or "-").encode("ascii", "replace"))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        said = answer.read().decode("ascii")
    os.waitpid(pid, 0)
    return None if said == "-" else said or "the attempt ended without an answer"


def _tried(map_ids: Callable[[], bool]) -> str | None:
    try:
        enter(map_ids)
    except OSError as error:
        return f"the kernel denies them: {error.strerror}"
    return None


def enter(map_ids: Callable[[], bool]) -> None:
    """Move this process into namespaces of its own.

    Args:
        map_ids: asks a process outside to write the maps of user and group numbers of this one; False: it could not.

    Raises:
        OSError: the kernel denies some part of it.
    """
    user = os.geteuid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_NEWUSER | _NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if not map_ids() or os.geteuid() != user:
        raise PermissionError(1, "user numbers cannot be mapped")
    _raise_loopback()


def write_maps(pid: int) -> bool:
    """Give a process in a new user namespace the numbers it had outside. Runs in a process outside."""
    try:
        if os.geteuid() == 0:
            maps = {name: _identity(name) for name in ("uid_map", "gid_map")}
        else:
            _put(f"/proc/{pid}/setgroups", "deny")
            maps = {"uid_map": f"{os.geteuid()} {os.geteuid()} 1\n", "gid_map": f"{os.getegid()} {os.getegid()} 1\n"}
        for name, text in maps.items():
            _put(f"/proc/{pid}/{name}", text)
    except OSError:
        return False
    return True


def _identity(name: str) -> str:
    with open(f"/proc/self/{name}", encoding="ascii") as file:
        ranges = [line.split() for line in file]
    return "".join(f"{inside} {inside} {count}\n" for inside, _outside, count in ranges)


def _put(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def _raise_loopback() -> None:
    any_socket = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket.fileno(), _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket.fileno(), _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    finally:
        any_socket.close()
