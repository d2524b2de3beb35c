"""What git says of the tree, asked so that a hostile repository's configuration cannot run programs."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verifier.children import has_ended
from verifier.errors import MachineError

_SAFE = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_QUESTION = ("status", "--porcelain=v2", "--branch", "-z", "--ignore-submodules=dirty", "--", ".")
_FILTER = r"^filter\..*\.(clean|smudge|process|required)$"
_NO_PROGRAM = {"clean": "", "smudge": "", "process": "", "required": "false"}
_LIMIT_S = 20
_LOOK_EVERY_S = 0.005
_LONGEST_ERROR = 4096  # bytes
# Nothing is fetched behind our back (by a partial clone, from whatever host its configuration names), nobody is asked
# for a password, and what git complains of is in English.
_ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


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
    answer = asked(root, *question)
    return answer.out if answer is not None and answer.code == 0 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """How git ended and what it wrote. `code` is None where it took too long."""

    code: int | None
    out: bytes
    error: str


def asked(root: Path, *question: str) -> Answer | None:
    """Return what git says to a question about the tree at `root`; None where there is no git that can be run.

    Raises:
        MachineError: no process can be started to ask it, or the end of it cannot be seen.
    """
    git = shutil.which("git")
    return None if git is None else _answer([git, *_SAFE, "-C", str(root), *question], _no_filters(git, str(root)))


@functools.cache
def _no_filters(git: str, root: str) -> Mapping[str, str]:
    """Return an environment in which no filter that the repository names is a program any more.

    git runs `filter.NAME.clean` to see whether a file differs from the index, so also to say what its state is.
    """
    answer = _answer([git, *_SAFE, "-C", root, "config", "-z", "--name-only", "--get-regexp", _FILTER], {})
    names = answer.out.split(b"\0") if answer is not None and answer.code == 0 else []
    drivers = {os.fsdecode(name).rpartition(".")[0] for name in names if name}
    settings = [(f"{driver}.{key}", value) for driver in sorted(drivers) for key, value in _NO_PROGRAM.items()]
    given = os.environ.get("GIT_CONFIG_COUNT", "0")
    first = int(given) if given.isdecimal() else 0
    environment = {"GIT_CONFIG_COUNT": str(first + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, start=first):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _answer(command: list[str], more: Mapping[str, str]) -> Answer | None:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            environment = {**os.environ, **_ENVIRONMENT, **more}
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)
        except OSError as error:
            if error.filename is not None:  # it is there, and cannot be executed
                return None
            raise MachineError(f"no process can be started to ask git: {error.strerror or error}") from None
        end = time.monotonic() + _LIMIT_S
        try:
            while not has_ended(process, "git"):
                if time.monotonic() > end:
                    return Answer(None, b"", f"it did not answer within {_LIMIT_S} s")
                time.sleep(_LOOK_EVERY_S)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        output.seek(0)
        errors.seek(0)
        return Answer(process.returncode, output.read(), errors.read(_LONGEST_ERROR).decode("utf-8", "replace"))
