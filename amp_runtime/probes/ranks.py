"""Have the Python processes that a script starts watched, and read what they have told: launchers, spawn, fork."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from typing import TYPE_CHECKING

from ..wire import RankSeen, WireError, from_json, to_json
from .emit import decode, encode
from .rank import RankSettings, watch_copies
from .rank_start.sitecustomize import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire import Request, ScriptUnit

_START = os.path.join(os.path.dirname(os.path.realpath(__file__)), "rank_start")
_SETTINGS_FILE = "settings"


class Ranks:
    """What the processes of one script tell. Made before the script is run, in its process."""

    def __init__(self, script: ScriptUnit, request: Request, *, timed: bool = False) -> None:
        self._folder = tempfile.mkdtemp(prefix="ranks-", dir=request.scratch)
        settings = RankSettings(
            folder=self._folder, root=request.root, origin=request.origin, steps=script.steps, timed=timed
        )
        path = os.path.join(self._folder, _SETTINGS_FILE)
        with open(path, "w", encoding="ascii") as file:
            file.write(encode(to_json(settings)))
        os.environ[SETTINGS] = path
        given = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join([_START, given] if given else [_START])
        watch_copies(settings)

    def run(self, program: Callable[[], tuple[int, bool]]) -> tuple[int, bool]:
        """Run the program and whatever it starts to the end; return its exit code, and whether it was stopped."""
        try:
            exit_code, stopped = program()
            self._wait()
        except Exception:
            if not self._stopped():
                raise
            return 0, True  # it went on without what the ranks would have done
        return (0, True) if self._stopped() else (exit_code, stopped)

    def _wait(self) -> None:
        """Wait for those that the interpreter would wait for at its exit."""
        for child in multiprocessing.active_children():
            if not child.daemon:
                child.join()

    def seen(self) -> tuple[RankSeen, ...]:
        """Return what each process that trained has told, by rank; what cannot be read was written by none of ours."""
        found = []
        for name in os.listdir(self._folder):
            if name.endswith(".json"):
                try:
                    with open(os.path.join(self._folder, name), encoding="ascii") as file:
                        found.append(from_json(RankSeen, decode(file.read())))
                except (OSError, ValueError, WireError):
                    continue
        return tuple(sorted(found, key=lambda one: (one.rank is None, one.rank or 0, one.pid)))

    def _stopped(self) -> bool:
        """Whether all that trained were ended as was asked for; then what the script makes of that is no failure."""
        seen = self.seen()
        return bool(seen) and all(one.stopped and one.complete for one in seen)
