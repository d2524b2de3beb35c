"""What CPython itself does: each module imported first, in a process forked from one small warm interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_SERVER = r"""
import contextlib, json, os, sys, typing
sys.dont_write_bytecode = True

def attempt(folder, name):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        sys.path.insert(0, folder)
        try:
            __import__(name)
            said = None
        except BaseException as error:
            said = [type(error).__name__, str(error)]
        os.write(write, json.dumps(said).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = json.loads(pipe.read())
    os.waitpid(child, 0)
    return answer

for line in sys.stdin:
    folder, names = json.loads(line)
    print(json.dumps({name: attempt(folder, name) for name in names}), flush=True)
"""


class Oracle:
    """Answers, for a folder and module names, which exception importing each of them first raises."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, folder: Path, names: list[str]) -> dict[str, list[str] | None]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(folder), names]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, list[str] | None] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
