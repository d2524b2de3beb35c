"""Try every right that the cage denies, before anything relies on its being denied."""

from __future__ import annotations

import _socket  # the project may have a module `socket`: what is not loaded here need not be forgotten
import contextlib
import os
from typing import TYPE_CHECKING

from . import process_tree, rlimits
from .confine import confine_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import Cage, Witness

_CONNECT_S = 0.5


def layers(cage: Cage, session: int) -> dict[str, bool]:
    """Return which layers hold, by name. The verifier adds what it saw of the attempts from outside.

    Args:
        session: the process that must lead this one's session.
    """
    witness = cage.witness
    return {
        "own-session": os.getsid(0) == session != os.getsid(witness.verifier),
        "orphans-adopted": process_tree.orphan_comes_to_us(),
        "dies-with-parent": process_tree.dies_with_parent(),
        **rlimits.kept(cage),
        "writes-outside-denied": _all_denied(_changes(witness.folder)),
        **{f"verifier-{name}": denied for name, denied in _out_of_reach(witness.verifier).items()},
        **{f"harness-{name}": denied for name, denied in _from_a_unit(cage).items()},
        "tcp-denied": not cage.network and _all_denied([lambda: _connect(witness)]),
        "udp-denied": not cage.network and _sent(witness),
    }


def _out_of_reach(pid: int) -> dict[str, bool]:
    """Say whether a process can be signalled or looked into from here."""
    memory: list[Callable[[], object]] = [
        lambda: _read(f"/proc/{pid}/environ"),
        lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)),
        lambda: os.readlink(f"/proc/{pid}/fd/0"),
    ]
    return {"signals-denied": _denied(lambda: os.kill(pid, 0)), "memory-denied": _all_denied(memory)}


def _from_a_unit(cage: Cage) -> dict[str, bool]:
    """Try from a process like a unit's whether it can signal this one, or look into it."""
    read_end, write_end = os.pipe()
    harness, pid = os.getpid(), os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            confine_unit(cage)
            os.write(write_end, repr(tuple(_out_of_reach(harness).values())).encode("ascii"))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return {"signals-denied": said.startswith(b"(True"), "memory-denied": said.endswith(b"True)")}


def _changes(folder: str) -> list[Callable[[], object]]:
    """Return every way to change a folder or a file that is not ours."""
    kept, new = os.path.join(folder, "kept"), os.path.join(folder, "new")
    return [
        lambda: os.close(os.open(new, os.O_CREAT | os.O_WRONLY)),
        lambda: os.close(os.open(kept, os.O_WRONLY | os.O_APPEND)),
        lambda: os.truncate(kept, 0),
        lambda: os.mkdir(new),
        lambda: os.symlink(kept, new),
        lambda: os.link(kept, new),
        lambda: os.rename(kept, new),
        lambda: os.unlink(kept),
    ]


def _all_denied(attempts: list[Callable[[], object]]) -> bool:
    return [_denied(attempt) for attempt in attempts].count(False) == 0  # every one is made, whatever the others gave


def _denied(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1)


def _connect(witness: Witness) -> None:
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect(("127.0.0.1", witness.tcp_port))
    finally:
        connection.close()


def _sent(witness: Witness) -> bool:
    """Send a datagram to the verifier, which alone can say whether it came."""
    datagram = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
        datagram.sendto(b"reached", ("127.0.0.1", witness.udp_port))
    datagram.close()
    return True
