"""How a child process ended, asked so that one whose end cannot be seen is never taken for one that succeeded."""

from __future__ import annotations

import os
import subprocess

from verifier.errors import MachineError


def has_ended(process: subprocess.Popen[bytes], name: str) -> bool:
    """Say whether the child has ended, with its exit code in `process`.

    `Popen.poll` gives exit code 0 to a child whose end it cannot see.

    Raises:
        MachineError: the system does not say how the child ended.
    """
    if os.name == "nt":
        return process.poll() is not None
    try:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
    except OSError as error:
        raise MachineError(f"the end of {name} cannot be seen: {error.strerror or error}") from None
    if pid:
        process.returncode = os.waitstatus_to_exitcode(status)
    return bool(pid)
