"""Start a command under bubblewrap: everything is read-only but the scratch folder and devices, and no network."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from verifier.api import StageError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "bwrap"


def wrapped(command: list[str], inside: Path, folder: Path, *, network: bool) -> list[str]:
    """Return the command line that runs `command` in `folder` under bubblewrap.

    Not with its --die-with-parent: the keeper has to outlive the verifier, to end what the project left.

    Raises:
        StageError: it is not installed.
    """
    program = shutil.which(NAME)
    if program is None:
        raise StageError(f"--sandbox {NAME} does not work on this machine: the program bwrap is not installed")
    mounts = ["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", str(inside), str(inside)]
    apart = [] if network else ["--unshare-net"]
    return [program, *mounts, *apart, "--new-session", "--chdir", str(folder), "--", *command]
