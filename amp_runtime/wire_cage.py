"""What the verifier tells the harness of the cage it has to shut itself into.

Standard library only: it is loaded on both sides of the line, in the child under a private name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What the verifier holds out to be touched: a right that the harness still has shows here.

    Args:
        folder: outside everything that may be written; holds the file `kept`.
        tcp_port, udp_port: where the verifier listens on 127.0.0.1.
        verifier: its process number.
    """

    folder: str
    tcp_port: int
    udp_port: int
    verifier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cage:
    """Into what the harness shuts itself before it knows any path of the project.

    Args:
        landlock, namespaces: whether to use them where the kernel has them.
        network: the project may use it.
        writable: folders and devices that may be written.
        cpu_s: processor seconds of one process. file_bytes: size of one file. open_files: per process.
        processes: processes and threads, where they can be counted apart from those of others.
    """

    landlock: bool
    namespaces: bool
    network: bool
    writable: tuple[str, ...]
    cpu_s: int
    file_bytes: int
    open_files: int
    processes: int
    witness: Witness
