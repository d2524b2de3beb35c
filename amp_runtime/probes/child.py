"""The forked process in which project code runs: from the first line to an exit that cannot be mistaken for success."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import sys
import threading
import time
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ..wire import CHANNEL_LOST
from . import originals, process_tree
from .emit import ChannelLostError, Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from ..wire import Item
    from .failure import Project

_EXIT_LIMIT_S = 30.0
# Bound before the project can replace them.
_exit, _now = os._exit, time.monotonic
_watch_later, _watch_crashes = faulthandler.dump_traceback_later, faulthandler.enable


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A piece of work for one process."""

    name: str
    body: Callable[[Reporter], None]


class Reporter:
    """What a body says about its progress. Each phase has its own time limit and its own watchdog."""

    def __init__(self, writer: Writer, dump: IO[bytes], project: Project, limits: tuple[float, float]) -> None:
        self.project = project
        self._writer = writer
        self._dump = dump
        self._phase_limit_s, left_s = limits
        self._deadline = _now() + left_s

    def phase(self, name: str, limit_s: float | None = None) -> None:
        self._writer.send("phase", name=name)
        limit = min(limit_s or self._phase_limit_s, max(0.05, self._deadline - _now()))
        try:
            _watch_later(limit, file=self._dump)
        except (ValueError, OSError):  # the project closed our file: only the stack is lost
            return

    def watch_for_crashes(self) -> None:
        try:
            _watch_crashes(file=self._dump)
        except (ValueError, OSError):
            return

    def item(self, item: Item) -> None:
        self._writer.item(item)


def live(
    unit: Unit, descriptor: int, nonce: str, dump_path: str, project: Project, limits: tuple[float, float]
) -> NoReturn:
    """Run the body in this process, then leave as an interpreter does. Never returns."""
    try:
        os.setsid()
        process_tree.die_with_parent()
        sys.argv = [""]
        # Without a file, so that processes which multiprocessing spawns do not start the harness again.
        sys.modules["__main__"] = types.ModuleType("__main__")
        writer = Writer(descriptor, nonce)
        with open(dump_path, "wb", buffering=0) as dump:
            _leave_a_trace(dump)
            reporter = Reporter(writer, dump, project, limits)
            reporter.watch_for_crashes()
            try:
                unit.body(reporter)
            except ChannelLostError:
                raise
            except BaseException as error:  # whatever the project raised is a result
                originals.restore()
                writer.raised(project.describe(error))
            originals.restore()
            _leave(reporter)
            if strays := project.relocation.strays():
                writer.send("strays", modules=sorted(strays))
            writer.send("end")
        _exit(0)
    except ChannelLostError:
        _exit(CHANNEL_LOST)
    finally:
        _exit(CHANNEL_LOST + 1)


def _leave_a_trace(dump: IO[bytes]) -> None:
    """Make `os._exit` say where it was called before it ends the process, so that the report can name the line."""
    owner = os.getpid()

    def traced_exit(status: int) -> NoReturn:
        if os.getpid() == owner:
            with contextlib.suppress(ValueError, OSError):
                faulthandler.dump_traceback(file=dump, all_threads=False)
        _exit(status)

    os._exit = traced_exit


def _leave(reporter: Reporter) -> None:
    """Do what the interpreter does at its exit, where programs hang: join threads, run exit functions."""
    reporter.phase("interpreter exit", _EXIT_LIMIT_S)
    reporter.watch_for_crashes()  # the project may have set its own fault handler, and taken it away again
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    faulthandler.cancel_dump_traceback_later()
