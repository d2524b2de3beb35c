"""Kills one process of a run at a random moment, and holds what is left to the promises."""

from __future__ import annotations

import contextlib
import enum
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kills.starting import Running, Warm, cold

if TYPE_CHECKING:
    from tests.kills.tiny import Tiny

HARNESS = b"bootstrap.py"
_LOOK_EVERY_S = 0.0004
_MEASURED = 5  # runs from which it is known how long each of them lives


class Victim(enum.StrEnum):
    """Who is killed: `verify`, the keeper of the cage, the supervisor in it, or the child that runs the module.

    `WRITER` is the parent while it writes the report, `BOTH` are the parent and the keeper.
    """

    PARENT = "parent"
    WRITER = "parent while writing"
    KEEPER = "keeper"
    SUPERVISOR = "supervisor"
    CHILD = "child"
    BOTH = "parent and keeper"


_SHARES = {
    Victim.PARENT: 5,
    Victim.WRITER: 5,
    Victim.KEEPER: 4,
    Victim.SUPERVISOR: 5,
    Victim.CHILD: 5,
    Victim.BOTH: 1,
}
_DEPTHS = {Victim.KEEPER: 1, Victim.BOTH: 1, Victim.SUPERVISOR: 2, Victim.CHILD: 3}  # each is the parent of the next


class Killing:
    """Many kills of runs of one project, and what they led to."""

    def __init__(self, tiny: Tiny, seed: int) -> None:
        self.tiny = tiny
        self.seen: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._due: Counter[Victim] = Counter()
        self._number = 1_000_000

    def kills(self, count: int) -> None:
        """Kill `count` runs, each one followed by a run that must work."""
        with Warm(self.tiny) as warm:
            self._lives = self._measured(warm)
            done = 0
            while done < count:
                start = warm.start if done % 5 else lambda number: cold(self.tiny, number)
                victim = self._next_victim()
                if self._kill(victim, start):
                    done += 1
                    self._due[victim] -= 1
                self._works(warm.start(self._next()))

    def _next_victim(self) -> Victim:
        """Draw from a deck in which each has its share, so that a round leaves nobody out; who outran a kill is due."""
        if not self._due.total():
            self._due = Counter(_SHARES)
        (victim,) = self._random.choices([*self._due], [*self._due.values()])
        return victim

    def _kill(self, victim: Victim, start: Callable[[int], Running]) -> bool:
        """Start a run, kill the victim, and check. False: it had ended before."""
        old, new = self._number, self._next()
        run = start(new)
        pids = self._at_its_moment(victim, run.pid)
        alive = [pid for pid in pids if _state(pid) not in ("", "Z", "X")]
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code = run.wait()
        if len(alive) == len(pids) > 0:
            self._check(victim, code, old, new)
        return len(alive) == len(pids) > 0

    def _check(self, victim: Victim, code: int, old: int, new: int) -> None:
        report = self.tiny.report()
        if victim in (Victim.KEEPER, Victim.SUPERVISOR, Victim.CHILD):
            assert report.run == new
            assert code == report.code
            assert report.verdict == "BLOCK" or "finished" in report.evidence
            outcome = report.verdict if code < 3 else "BLOCK with exit code 3"
        else:
            assert report.run in (old, new)
            assert code == -signal.SIGKILL or report.run == new
            outcome = "old report" if report.run == old else "new report"
        if victim is not Victim.BOTH:  # what they leave, the next run ends
            until(lambda: not self.tiny.processes())
        left = [*self.tiny.scratch.iterdir(), *self.tiny.root.glob(".verify/reports/.*")]
        self.seen[f"{victim}: {outcome}"] += 1
        self.seen["left a folder for the next run"] += bool(left)

    def _works(self, run: Running) -> None:
        assert run.wait() == 0
        report = self.tiny.report()
        assert (report.run, report.verdict, report.evidence) == (self._number, "PASS", "complete, finished")
        assert self.tiny.processes() == []
        assert list(self.tiny.scratch.iterdir()) == []
        assert [path.name for path in self.tiny.reports.parent.iterdir()] == ["T"]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _at_its_moment(self, victim: Victim, parent: int) -> list[int]:
        """Wait for a random moment in the life of the victim; return the processes to kill."""
        found = _watch(parent, lambda: self._alive(victim, parent))
        time.sleep(self._random.uniform(0, self._lives[victim]))
        if victim is Victim.BOTH:
            return [parent, *found]
        return found

    def _alive(self, victim: Victim, parent: int) -> list[int]:
        """Return the process whose life begins the victim's; nothing while it has not begun."""
        if victim is Victim.PARENT:
            return [parent]
        if victim is Victim.WRITER:
            return [parent] * (self.tiny.reports.parent / ".verify-writing").exists()
        pid = parent
        for _ in range(_DEPTHS[victim]):
            below = [child for child in _children(pid) if _is_harness(child)]
            if not below:
                return []
            pid = below[-1]
        return [pid] if victim is not Victim.CHILD or _leads_a_session(pid) else []  # what tries the cage does not

    def _measured(self, warm: Warm) -> dict[Victim, float]:
        """Return the seconds within which each victim is to be killed: as long as it lived, and a little more."""
        lives = dict.fromkeys(Victim, 0.0)
        for _ in range(_MEASURED):
            run, born = warm.start(self._next()), dict[Victim, float]()
            while _state(run.pid) not in ("", "Z"):
                for victim in Victim:
                    if self._alive(victim, run.pid):
                        now = time.monotonic()
                        lives[victim] = max(lives[victim], now - born.setdefault(victim, now))
                time.sleep(_LOOK_EVERY_S)
            self._works(run)
        return {victim: 1.1 * life for victim, life in lives.items()}


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _watch(parent: int, look: Callable[[], list[int]]) -> list[int]:
    """Look until there is something, or the run has ended."""
    while not (found := look()) and _state(parent) not in ("", "Z"):
        time.sleep(_LOOK_EVERY_S)
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _leads_a_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _is_harness(pid: int) -> bool:
    try:
        return HARNESS in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
