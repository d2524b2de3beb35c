"""One probe, one process tree, hard limits: start it, watch it, end it, and return only what was proven."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.wire import GO, to_json
from stages._probe import bubblewrap
from stages._probe.hiding import hidden
from stages._probe.isolation import described
from stages._probe.limits import clean_environment
from stages._probe.processes import Tree
from stages._probe.records import Ending, ProbeReport, Receiver
from stages._probe.scratch import INSIDE, MARKER, WITNESS, marker, scratch
from stages._probe.witness import Held, witness
from stages._probe.work import HARNESS, Ends, Work, request_of, working_copy
from verifier.api import MachineError, StageError, has_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amp_runtime.wire import Hello
    from stages._probe.limits import Limits
    from stages._probe.workcopy import WorkCopy
    from verifier.api import Json

_TICK_S = 0.05
_MEMORY_EVERY_S = 0.1
_BACKSTOP_S = 3.0  # the harness keeps the time limit itself, and names what was running; this is for when it cannot
_TAIL_BYTES = 64 << 10


class HaltedError(Exception):
    """Nobody wants the result any more."""


def run_probe(work: Work, limits: Limits, progress: Callable[[str], None] = lambda _line: None) -> ProbeReport:
    """Run a probe to its end or to a limit. Nothing of it is alive afterwards.

    Raises:
        StageError: the harness itself could not start in the given interpreter.
        MachineError: the system gives no process, or does not say how one ended.
        HaltedError: `work.halted` said so.
    """
    if not hasattr(os, "fork"):
        raise StageError("running code needs Linux or macOS; on this platform only the static stages work")
    with hidden(), scratch() as folder, _held_out(folder) as held:
        copy = working_copy(work, folder)
        return _Run(work, limits, folder, copy, held, progress).to_the_end()


@contextlib.contextmanager
def _held_out(folder: Path) -> Iterator[Held]:
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(witness(folder / WITNESS))
        except OSError as error:
            raise MachineError(f"the isolation of code cannot be tried: {error.strerror or error}") from None
        yield held


class _Tail:
    """The end of what was printed, and how much it was in all."""

    def __init__(self) -> None:
        self.total = 0
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        self.total += len(data)
        self._kept += data
        del self._kept[:-_TAIL_BYTES]

    def text(self) -> str:
        return self._kept.decode("utf-8", "backslashreplace")


class _Run:
    """One child process from start to end."""

    def __init__(
        self, work: Work, limits: Limits, scratch: Path, copy: WorkCopy, held: Held, progress: Callable[[str], None]
    ) -> None:
        self._work = work
        self._limits = limits
        self._scratch = scratch
        self._copy = copy
        self._inside = scratch / INSIDE
        self._held = held
        self._progress = progress
        self._nonce = secrets.token_hex(16)
        self._receiver = Receiver(self._nonce, (str(copy.root), str(work.root)))
        self._output = _Tail()
        self._peak = 0
        self._memory_due = 0.0
        self._layers: dict[str, bool] | None = None  # until the cage has been seen to hold

    def to_the_end(self) -> ProbeReport:
        started = time.monotonic()
        channel, channel_write = os.pipe()
        lifeline_read, lifeline = os.pipe()
        try:
            process = self._start(channel_write, lifeline_read)
        except OSError as error:
            raise self._cannot_start(error) from None
        finally:
            os.close(channel_write)
            os.close(lifeline_read)
        tree = Tree(process.pid, marker(self._scratch))
        try:
            ending, code = self._watch(process, channel, lifeline, tree, started)
            rewritten = self._copy.rewritten(self._work.sources)  # while the copy is there
        finally:
            os.close(lifeline)  # the harness ends its children and itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2.0)
            survivors = tree.kill()
            process.wait()
            self._drain_all(process, channel)
        report = self._report(ending, code, tuple(survivors), time.monotonic() - started)
        return replace(report, rewritten=rewritten)

    def _start(self, channel_fd: int, lifeline_fd: int) -> subprocess.Popen[bytes]:
        work, limits = self._work, self._limits
        request = request_of(
            work,
            limits,
            self._copy,
            Ends(nonce=self._nonce, scratch=self._scratch, channel_fd=channel_fd, lifeline_fd=lifeline_fd),
            self._held.for_the_harness(),
        )
        path = self._inside / f"request-{secrets.token_hex(8)}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(to_json(request)), encoding="ascii")
        environment = clean_environment(os.environ, self._inside, work.isolation.pass_env)
        environment[MARKER] = self._scratch.name
        command = [str(work.python), "-P", str(HARNESS), str(path)]
        if work.isolation.sandbox == bubblewrap.NAME:
            command = bubblewrap.wrapped(command, self._inside, self._copy.root, network=work.isolation.network)
        return subprocess.Popen(
            command,
            cwd=self._copy.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(channel_fd, lifeline_fd),
        )

    def _cannot_start(self, error: OSError) -> StageError:
        if error.filename is None:  # no name of a program: it was the system that would not make a process
            return MachineError(f"no process can be started to run code in: {error.strerror or error}")
        return StageError(f"cannot start {self._work.python}: {error.strerror or error}")

    def _watch(
        self, process: subprocess.Popen[bytes], channel: int, lifeline: int, tree: Tree, started: float
    ) -> tuple[Ending, int]:
        assert process.stdout is not None
        running = None
        with selectors.DefaultSelector() as selector:
            for descriptor in (channel, process.stdout.fileno()):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            while not has_ended(process, "the harness"):
                for key, _events in selector.select(_TICK_S):
                    if not self._read(key.fd, channel):
                        selector.unregister(key.fd)
                if self._layers is None and self._receiver.hello is not None:
                    self._admit(self._receiver.hello, lifeline)
                if self._receiver.running != running:
                    running = self._receiver.running
                    self._progress(running or self._work.probe)
                if self._work.halted():
                    raise HaltedError
                if ending := self._limit_passed(tree, time.monotonic() - started):
                    return ending, 0
        self._drain_all(process, channel, close=False)
        if process.returncode == 0 and self._receiver.ended:
            return "complete", 0
        return ("signal", -process.returncode) if process.returncode < 0 else ("exited", process.returncode)

    def _admit(self, hello: Hello, lifeline: int) -> None:
        """Let the harness open the project, once every layer that is asked for has been seen to hold.

        Raises:
            StageError: one of them does not.
        """
        self._layers = self._held.confirmed(hello.layers)
        if problem := self._work.isolation.problem(self._layers, hello.mechanisms):
            raise StageError(problem)
        with contextlib.suppress(BrokenPipeError):  # it has ended meanwhile, and that is seen
            os.write(lifeline, GO)

    def _limit_passed(self, tree: Tree, elapsed_s: float) -> Ending | None:
        if elapsed_s > self._limits.time_s + _BACKSTOP_S:
            return "timeout"
        if self._output.total > self._limits.flood_bytes:
            return "flood"
        if elapsed_s >= self._memory_due:
            used, processes = tree.use(self._limits.memory_bytes)
            self._peak = max(self._peak, used)
            self._memory_due = elapsed_s + _MEMORY_EVERY_S
            if used > self._limits.memory_bytes:
                return "memory"
            if processes > self._limits.processes:
                return "processes"
        return None

    def _read(self, descriptor: int, channel: int) -> bool:
        """Take in what is there, at most a part of a flood at a time. False: the other end is closed."""
        for _ in range(64):
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            if descriptor == channel:
                self._receiver.feed(data)
            else:
                self._output.add(data)
                self._work.output(data)
        return True

    def _drain_all(self, process: subprocess.Popen[bytes], channel: int, *, close: bool = True) -> None:
        assert process.stdout is not None
        if process.stdout.closed:
            return
        for descriptor in (channel, process.stdout.fileno()):
            self._read(descriptor, channel)
        if close:
            process.stdout.close()
            os.close(channel)

    def _report(self, ending: Ending, code: int, survivors: tuple[int, ...], duration_s: float) -> ProbeReport:
        hello = self._receiver.hello
        if self._receiver.unable is not None:
            raise MachineError(f"the harness cannot go on: {self._receiver.unable}")
        if hello is None:
            raise StageError(self._no_start(ending, code))
        units = self._receiver.finish(ending, code)
        return ProbeReport(
            hello=hello,
            units=units,
            ending=ending,
            code=code,
            output_tail=self._output.text().replace(str(self._copy.root), str(self._work.root)),
            peak_bytes=self._peak,
            duration_s=duration_s,
            layers=self._facts(hello),
            survivors=survivors,
            foreign=self._receiver.foreign,
        )

    def _no_start(self, ending: Ending, code: int) -> str:
        last = self._output.text().strip().splitlines()[-3:]
        said = f"; it said: {' | '.join(last)}" if last else ""
        return (
            f"the harness did not start in {self._work.python} (Python 3.11 or newer is needed): {ending} {code}{said}"
        )

    def _facts(self, hello: Hello) -> dict[str, Json]:
        return {
            **described(self._work.isolation, self._layers or {}, hello.mechanisms),
            "working-copy": self._copy.facts(),
            "stdin-closed": True,
            "descriptors-closed": True,
            "scratch-home-and-tmp": True,
            "memory-limit-bytes": self._limits.memory_bytes,
            "process-limit": self._limits.processes,
            "memory-limit-by": "polling the process tree every 0.1 s",
            "time-limit-s": round(self._limits.time_s, 1),
            "output-limit-bytes": self._limits.flood_bytes,
        }


def interpreter(configured: str | Path | None, root: Path) -> Path:
    """Return the project's interpreter: the configured one, a relative path from the root, else the running one.

    Raises:
        StageError: there is no such file.
    """
    if configured is None:
        return Path(sys.executable)
    path = root / configured
    if not path.is_file():
        raise StageError(f"the interpreter {configured} does not exist; give --python or `python` in the configuration")
    return path
