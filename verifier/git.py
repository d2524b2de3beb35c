"""What git says of the tree, asked so that a hostile repository's configuration cannot run programs."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from verifier.children import has_ended
from verifier.errors import MachineError

_SAFE = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_QUESTION = ("status", "--porcelain=v2", "--branch", "-z", "--", ".")
_LIMIT_S = 20
_LOOK_EVERY_S = 0.005


def commit_and_dirty(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit checked out at `root` and whether anything differs from it; (None, None) outside git.

    Raises:
        MachineError: no process can be started to ask git, or the end of it cannot be seen.
    """
    answer = ask_git(root, *_QUESTION)
    if answer is None:
        return None, None
    fields = answer.decode("utf-8", "surrogateescape").split("\0")
    oid = next((field.removeprefix("# branch.oid ") for field in fields if field.startswith("# branch.oid ")), None)
    dirty = any(field and not field.startswith("# ") for field in fields)
    return (None if oid in (None, "(initial)") else oid), dirty


def ask_git(root: Path, *question: str) -> bytes | None:
    """Return what git answers about the tree at `root`; None where there is no git, or it ends badly or too late.

    Raises:
        MachineError: no process can be started to ask it, or the end of it cannot be seen.
    """
    git = shutil.which("git")
    return None if git is None else _answer([git, *_SAFE, "-C", str(root), *question])


def _answer(command: list[str]) -> bytes | None:
    """Return what a program writes before it ends well; None if it does not."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL)
        except OSError as error:
            if error.filename is not None:  # it is there, and cannot be executed
                return None
            raise MachineError(f"no process can be started to ask git: {error.strerror or error}") from None
        end = time.monotonic() + _LIMIT_S
        try:
            while not has_ended(process, "git"):
                if time.monotonic() > end:
                    return None
                time.sleep(_LOOK_EVERY_S)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        output.seek(0)
        return output.read() if process.returncode == 0 else None
