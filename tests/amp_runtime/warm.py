"""Starts programs from a process that has imported torch already, because most of a start is that.

A program still has a process of its own, in which nothing but imports has happened. What must begin with an empty
interpreter is started by `subprocess`.

Run as a program this file serves: for each line, a JSON object, it forks a keeper, which forks the program, says its
number, waits for it, and says its exit code (negative: the signal).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

ROOT = Path(__file__).parents[2]
_IMPORTED = (
    "torch",
    "torch._dynamo",  # the first optimizer of a process imports it
    "torch.distributed.fsdp",
    "torch.utils.data",
    "amp_runtime.loop",
    "amp_runtime.retention",
    "amp_runtime.trackers",
)


class Program:
    """A program that runs; what `subprocess.Popen` offers of the same names."""

    def __init__(self, status: BinaryIO, stdout: TextIO, stderr: TextIO) -> None:
        self.stdout, self.stderr, self._status = stdout, stderr, status
        self.pid, self.returncode = int(status.readline()), None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(f"program {self.pid}", timeout)
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait, and return what it wrote since it was last read; for programs that write less than a pipe holds."""
        self.wait(timeout)
        with self.stdout, self.stderr, self._status:
            return self.stdout.read(), self.stderr.read()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.readline())
        return self.returncode


def start(
    *command: str | Path,
    env: dict[str, str] | None = None,
    cwd: Path = ROOT,
    stderr: int = -1,
    warn: str = "error",
) -> Program:
    """Start `-m MODULE ...`, `-c CODE ...` or `FILE ...`, in a process group of its own.

    Args:
        env: its environment, else that of this process.
        stderr: where its errors go, else to a pipe.
        warn: what becomes of a warning, as of `python -W`.
    """
    names, ends = [], []
    for _ in range(3):
        ours, theirs = os.pipe()
        names.append(ours), ends.append(theirs)
    asked = {"command": [str(part) for part in command], "warn": warn, "cwd": str(cwd), "env": env or {**os.environ}}
    passed = [*ends[:2], stderr if stderr >= 0 else ends[2]]
    socket.send_fds(_server(), [json.dumps(asked).encode() + b"\n"], passed)
    for end in ends:
        os.close(end)
    out, err = (os.fdopen(name, encoding="utf-8") for name in names[1:])
    return Program(os.fdopen(names[0], "rb", buffering=0), out, err)


def run(*command: str | Path, **options: Any) -> tuple[int, str, str]:
    """Run a program to its end; return its exit code and what it wrote."""
    program = start(*command, **options)
    out, err = program.communicate(timeout=200)
    return program.returncode, out, err


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with theirs:
        server = subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs, env=environment, cwd=ROOT)

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _serve() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listened = socket.socket(fileno=0)
    while True:
        line, passed, _, _ = socket.recv_fds(listened, 1 << 20, 3)
        if not line:
            return
        if os.fork() == 0:
            listened.detach()
            _keep(json.loads(line), *passed)
        for descriptor in passed:
            os.close(descriptor)


def _keep(asked: dict[str, Any], status: int, stdout: int, stderr: int) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _live(asked, stdout, stderr)
    os.close(stdout), os.close(stderr)
    os.write(status, b"%d\n" % pid)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _live(asked: dict[str, Any], stdout: int, stderr: int) -> NoReturn:
    os.setpgid(0, 0)
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter(asked["warn"])
    code = _code_of(asked["command"])
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def _code_of(command: list[str]) -> int:
    """Run it, and return its exit code as an interpreter of its own would give it."""
    first, *rest = command
    try:
        if first == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = command
            runpy.run_path(first, run_name="__main__")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve()
