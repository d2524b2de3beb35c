"""Every event of a watched run as one JSON line, for whoever wants to see what happened in which order."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .events import Event
    from .run import Run

_OMITTED = frozenset({"place", "step", "provenance", "gradients", "changed", "pending", "losses", "what", "state"})
_LONGEST = 200


class Trace:
    """Writes events as they happen; an event holds names and numbers, never the program's tensors.

    Args:
        path: a new file. Numbers that are not finite are written as text.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, run: Run, path: str | Path) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - open for as long as the run is watched
        self._run = run
        run.listeners.append(self._write)
        run.rests = False

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Event) -> None:
        path, line = event.place
        record: dict[str, Any] = {"step": event.step, "event": type(event).__name__, "path": path, "line": line}
        for field in fields(event):
            if field.name not in _OMITTED:
                record[field.name] = _plain(getattr(event, field.name))
        if self._run.planted:
            record["planted"] = self._run.planted
        self._file.write(json.dumps(record) + "\n")
        if record["event"] == "StepEnded":
            self._file.flush()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, torch.Tensor):
        return f"tensor {str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value[:20]]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"[:_LONGEST]
    return type(value).__name__
