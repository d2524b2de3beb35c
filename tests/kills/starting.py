"""Starts runs of the tiny project: cold, as a user does, or warm, from a process that has imported everything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.kills.tiny import Tiny


_LONGEST_S = 60.0


@dataclass(slots=True)
class Running:
    """One run that goes on: its process, and how to wait for its exit code."""

    pid: int
    wait: Callable[[], int]


class Warm:
    """A context in which runs start from a process that has imported everything."""

    def __init__(self, tiny: Tiny, **environment: str) -> None:
        self._tiny = tiny
        said = tiny.root.parent
        self.stdout, self.stderr = said / "stdout", said / "stderr"
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            cwd=tiny.root,
            env=tiny.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        tiny.helpers.add(self._server.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate("", timeout=_LONGEST_S)

    def start(self, number: int, arm: str = "") -> Running:
        return self._ask({"options": self._tiny.command(number), "arm": arm})

    def write(self, files: Mapping[str, str], folder: Path, *, ours: bool, arm: str = "") -> int:
        """Only write a report; return 3 where that failed."""
        return self._ask({"write": files, "folder": str(folder), "ours": ours, "arm": arm}).wait()

    def _ask(self, what: dict[str, Any]) -> Running:
        assert self._server.stdin is not None
        print(
            json.dumps(what | {"stdout": str(self.stdout), "stderr": str(self.stderr)}),
            file=self._server.stdin,
            flush=True,
        )
        return Running(self._line(), self._line)

    def _line(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def cold(tiny: Tiny, number: int) -> Running:
    process = tiny.start(number)
    return Running(process.pid, lambda: process.communicate(timeout=_LONGEST_S) and process.returncode)
