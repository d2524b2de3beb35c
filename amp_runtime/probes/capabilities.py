"""Give up capabilities: with CAP_SYS_PTRACE or CAP_PERFMON a process reads the memory of every other one.

Numbers and structures are those of the kernel's `include/uapi/linux/capability.h`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_VERSION_3 = 0x20080522  # of the structures of capget and capset: two words of 32 capabilities
_PR_CAPBSET_DROP = 24
_HIGHEST = 63
# What lets root read, own and write files as usual, end its own processes, change users, pin memory and set priorities.
# Containers leave their root little more.
_ROOT_KEEPS = sum(1 << bit for bit in (0, 1, 2, 3, 4, 5, 6, 7, 10, 14, 18, 23))


def give_up() -> None:
    """Keep of this process's capabilities those that handle files if we are root, else none."""
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    if os.geteuid() == 0:
        for bit in range(_HIGHEST + 1):  # or a program that is executed had them again
            if not _ROOT_KEEPS >> bit & 1:
                library.prctl(_PR_CAPBSET_DROP, bit, 0, 0, 0)
        library.capget(header, held)
        effective, permitted, _inheritable = struct.unpack("3I", held.raw[:12])
        held.raw = struct.pack("6I", effective & _ROOT_KEEPS, permitted & _ROOT_KEEPS, 0, 0, 0, 0)
    library.capset(header, held)  # whether it worked is tried afterwards, as everything is
