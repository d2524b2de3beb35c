"""What a probe established, and how it ended: only evidence that carries the run's nonce counts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from amp_runtime.wire import ITEMS, Hello, UnitResult, WireError, from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.wire import Item, Status
    from verifier.api import Json

Ending = Literal["complete", "timeout", "memory", "flood", "processes", "signal", "exited"]

STATUS_BY_ENDING: dict[Ending, Status] = {
    "timeout": "timeout",
    "memory": "memory",
    "flood": "flood",
    "processes": "processes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitReport:
    """One unit of work, how it ended and what it reported on the way."""

    result: UnitResult
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """Everything one probe left.

    Args:
        units: those that were begun, by name; a missing one never ran.
        code: exit code or signal of the harness, by `ending`.
        survivors: processes that could not be killed.
        rewritten: source files of the project whose copy was changed while it ran.
        foreign: records in the harness's channel that it did not write.
    """

    hello: Hello
    units: Mapping[str, UnitReport]
    ending: Ending
    code: int
    output_tail: str
    peak_bytes: int
    duration_s: float
    layers: Mapping[str, Json]
    survivors: tuple[int, ...] = ()
    rewritten: tuple[str, ...] = ()
    foreign: int = 0


@dataclass(slots=True)
class _Open:
    name: str
    phase: str = "start"
    items: list[Item] = field(default_factory=list)


class Receiver:
    """Takes the channel's bytes in and keeps what is genuine.

    Args:
        renamed: the folder of the working copy, and what people call it: the project's root.

    """

    def __init__(self, nonce: str, renamed: tuple[str, str] = ("", "")) -> None:
        self._nonce = nonce
        self._copy, self._root = (json.dumps(path)[1:-1].encode("ascii") for path in renamed)
        self._rest = b""
        self._open: _Open | None = None
        self._units: dict[str, UnitReport] = {}
        self.hello: Hello | None = None
        self.ended = False
        self.unable: str | None = None
        self.foreign = 0

    @property
    def running(self) -> str | None:
        return None if self._open is None else f"{self._open.name}: {self._open.phase}"

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line.replace(self._copy, self._root) if self._copy else line)
                if not isinstance(record, dict) or record.get("n") != self._nonce:
                    raise ValueError("not written by the harness")
                self._take(record)
            except (ValueError, KeyError, WireError):
                self.foreign += 1

    def _take(self, record: dict[str, object]) -> None:
        kind = record["k"]
        if kind == "hello":
            self.hello = from_json(Hello, record["value"])
        elif kind == "begin":
            self._open = _Open(str(record["unit"]))
        elif kind == "end":
            self.ended = True
        elif kind == "unable":
            self.unable = str(record["reason"])
        elif self._open is None:
            raise ValueError("a record outside any unit")
        elif kind == "phase":
            self._open.phase = str(record["name"])
        elif kind == "item":
            self._open.items.append(from_json(ITEMS[str(record["type"])], record["value"]))
        elif kind == "unit":
            self._close(from_json(UnitResult, record["value"]))

    def _close(self, result: UnitResult) -> None:
        if self._open is not None:
            self._units[result.unit] = UnitReport(result=result, items=tuple(self._open.items))
            self._open = None

    def finish(self, ending: Ending, code: int) -> dict[str, UnitReport]:
        """Return all units; one that was cut short gets the reason for which the whole probe ended."""
        if self._open is not None:
            status = STATUS_BY_ENDING.get(ending, "lost")
            self._close(
                UnitResult(unit=self._open.name, status=status, phase=self._open.phase, duration_s=0.0, code=code)
            )
        return dict(self._units)
