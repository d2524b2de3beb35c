"""One JSON object per line: what a crash leaves is whole lines."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from amp_runtime.trackers.appended import AppendedFile
from amp_runtime.trackers.contract import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from amp_runtime.trackers.contract import Scalar


class JsonlTracker(Tracker):
    """Append to a JSON Lines file: `{"config": {...}}` lines, and `{"step": 3, "train/loss": 0.5}` lines.

    inf and NaN, for which JSON has no numbers, are the texts `"inf"`, `"-inf"` and `"nan"`. An existing file is added
    to; a line that a crash cut off is dropped from its end.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = AppendedFile(path)

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._write({"config": {name: _number(value) for name, value in values.items()}})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._write({"step": step, **{name: _number(float(value)) for name, value in values.items()}})

    def close(self) -> None:
        self._file.close()

    def _write(self, record: Mapping[str, object]) -> None:
        self._file.append(json.dumps(record, allow_nan=False, ensure_ascii=False))


def _number(value: Scalar) -> Scalar:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
