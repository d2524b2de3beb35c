"""Watch a process that a program started: tell a file what was seen as soon as it trains, and again at its end."""

from __future__ import annotations

import atexit
import functools
import multiprocessing.util
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..wire import RankSeen, from_json, to_json
from .emit import decode, encode
from .failure import Project
from .relocate import Relocation
from .watched import devices_of, placed

if TYPE_CHECKING:
    from ..instrument.sanitizer import Sanitizer

_TELL_EVERY_S = 0.5
_PARTING_S = 0.5  # for other ranks that are still in the last exchange with this one
_now = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSettings:
    """What is watched for, and where it is told.

    Args:
        folder: holds one file of each process.
        root: of the working copy. origin: of the user's tree.
        steps: after which the process is ended.
        timed: only the steps are seen, and no hazard is looked for.
    """

    folder: str
    root: str
    origin: str
    steps: int | None
    timed: bool = False


class StepsDoneHereError(SystemExit):
    """Ends this process in order, with exit code 0, after the training steps that were asked for."""


def watch(settings_path: str) -> None:
    """Watch this process, and every copy that it makes of itself."""
    with open(settings_path, encoding="ascii") as file:
        settings = from_json(RankSettings, decode(file.read()))
    watch_copies(settings)
    _Rank(settings)


def watch_copies(settings: RankSettings) -> None:
    """Have each process that is forked from this one watched by a sanitizer of its own."""
    os.register_at_fork(after_in_child=functools.partial(_begin_anew, settings))


def _begin_anew(settings: RankSettings) -> None:
    if sys.modules.get("torch") is None:
        return
    from ..instrument.sanitizer import Sanitizer  # noqa: PLC0415 - needs torch

    if Sanitizer.watching is not None:
        Sanitizer.watching.stop()
    _Rank(settings)


class _Rank:
    """What this process has shown. Nothing is told of one that does not train, such as a loader of data."""

    def __init__(self, settings: RankSettings) -> None:
        from ..instrument.looks import Looks  # noqa: PLC0415
        from ..instrument.sanitizer import Sanitizer  # noqa: PLC0415 - these need torch

        self._settings = settings
        self._pid = os.getpid()
        self._told_at = 0.0
        self._alarms = 0
        self._stopped = False
        self._devices: tuple[str, ...] = ()
        self._place = _place()
        self._sanitizer: Sanitizer = Sanitizer(
            roots=(settings.root,), checks=() if settings.timed else None, looks=None if settings.timed else Looks()
        )
        self._sanitizer.run.after_step.append(self._step)
        self._sanitizer.start()
        atexit.register(self._end)
        # A copy of a process is ended by multiprocessing without the interpreter's exit functions.
        multiprocessing.util.register_after_fork(self, _Rank._end_with_multiprocessing)

    def _end_with_multiprocessing(self) -> None:
        multiprocessing.util.Finalize(None, self._end, exitpriority=0)

    def _step(self, step: int) -> None:
        if os.getpid() != self._pid or self._stopped:
            return
        self._devices = self._devices or devices_of(self._sanitizer)
        if self._place[0] is None:  # kept, as a program ends its group of processes before itself
            self._place = _place()
        alarms, now = len(self._sanitizer.alarms), _now()
        if alarms > self._alarms or now - self._told_at > _TELL_EVERY_S:
            self._alarms, self._told_at = alarms, now
            self._tell(complete=False)
        if self._settings.steps is not None and step >= self._settings.steps:
            self._stopped = True
            if self._place[1] is not None:
                time.sleep(_PARTING_S)
            raise StepsDoneHereError

    def _end(self) -> None:
        if os.getpid() != self._pid:
            return
        self._sanitizer.run.after_step.clear()  # what stopping counts as a step ends no program
        self._sanitizer.stop()
        self._tell(complete=True)

    def _tell(self, *, complete: bool) -> None:
        """Write what was seen so far in place of what was told before, as a whole."""
        report = self._sanitizer.report()
        if not report.watched.backwards and not report.watched.steps and not report.alarms:
            return
        rank, world, local_world = self._place
        project = Project(self._settings.root, Relocation(self._settings.origin, self._settings.root))
        seen = RankSeen(
            pid=self._pid,
            rank=rank,
            world=world,
            local_world=local_world,
            complete=complete,
            stopped=self._stopped,
            devices=self._devices,
            report=placed(report, project),
        )
        path = os.path.join(self._settings.folder, f"{self._pid}.json")
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(encode(to_json(seen)))
        os.replace(f"{path}.new", path)


def _place() -> tuple[int | None, int | None, int | None]:
    """Return this process's rank, among how many, and how many of them were started on this machine."""
    torch = sys.modules.get("torch")
    local = _number("LOCAL_WORLD_SIZE")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        world = torch.distributed.get_world_size()
        return torch.distributed.get_rank(), world, local or world
    world = _number("WORLD_SIZE")
    return _number("RANK"), world, local or world


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else None
