"""See from outside whether the cage holds: a file to overwrite and two sockets to reach, which must stay untouched."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from amp_runtime.wire import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_CONTENT = b"nobody may change this\n"


class Held:
    """What is held out, and whether anybody has touched it."""

    def __init__(self, folder: Path, tcp: socket.socket, udp: socket.socket) -> None:
        self._folder, self._tcp, self._udp = folder, tcp, udp
        (folder / "kept").write_bytes(_CONTENT)

    def for_the_harness(self) -> Witness:
        return Witness(
            folder=str(self._folder),
            tcp_port=self._tcp.getsockname()[1],
            udp_port=self._udp.getsockname()[1],
            verifier=os.getpid(),
        )

    def confirmed(self, layers: Mapping[str, bool]) -> dict[str, bool]:
        """Return the layers as the harness tried them, without those whose attempt arrived here all the same."""
        arrived = {
            "writes-outside-denied": self._changed(),
            "tcp-denied": _reached(self._accept),
            "udp-denied": _reached(lambda: self._udp.recv(64)),
        }
        return {name: held and not arrived.get(name, False) for name, held in layers.items()}

    def _accept(self) -> None:
        self._tcp.accept()[0].close()

    def _changed(self) -> bool:
        with contextlib.suppress(OSError):
            return (self._folder / "kept").read_bytes() != _CONTENT or len(os.listdir(self._folder)) != 1  # noqa: PTH208
        return True


def _reached(take: Callable[[], object]) -> bool:
    try:
        take()
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def witness(folder: Path) -> Iterator[Held]:
    """Hold out a folder and two sockets of 127.0.0.1 for as long as a harness may touch them.

    Raises:
        OSError: not even the verifier has a loopback address.
    """
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for one in (tcp, udp):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        tcp.listen(1)
        yield Held(folder, tcp, udp)
