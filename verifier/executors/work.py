"""What a Ray worker does: unpack the project, run one program beside itself, and return what that has written.

The program is a process of its own: stages fork and kill processes, which nothing should do inside a Ray worker.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from verifier.executors.snapshot import Snapshot, unpack

_LAST = 400  # characters of what a program said before it died


def do(snapshot: Snapshot, program: Sequence[str], request: str) -> str:
    """Run `python PROGRAM… REQUEST ANSWER` in the project's folder, and return the answer.

    Raises:
        RuntimeError: the program ended without one.
        MachineError: the project cannot be unpacked here.
    """
    with tempfile.TemporaryDirectory(prefix="verify-node-") as name:
        folder = Path(name, "project")
        folder.mkdir()
        unpack(snapshot, folder)
        asked, answered = Path(name, "request.json"), Path(name, "answer.json")
        asked.write_text(request, "utf-8")
        command = [sys.executable, "-P", *program, str(asked), str(answered)]
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if not answered.exists():
            said = done.stderr.decode("utf-8", "replace").strip()[-_LAST:]
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            raise RuntimeError(f"its process ended by {how} without an answer{f': {said}' if said else ''}")
        return answered.read_text("utf-8")
