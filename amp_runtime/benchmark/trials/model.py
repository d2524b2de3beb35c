"""What one trial was and what came of it, as a line of JSON with its raw series, so that anybody can judge again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from amp_runtime.benchmark.pairing import Block

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One comparison.

    Args:
        slowdown: by which the second program is truly slower, as a share; 0 for identical programs.
        outcome: of `NotSlower`: "pass", "fail" or "inconclusive".
        ratio, low, high: as last looked at; None where the budget allowed no look.
        first_us, second_us: microseconds per step on the wall clock, in the order of measurement.
        first_waited_us, second_waited_us: the part of them in which the thread waited for a processor.
        second_led: whether the second program went first in a pair.
        others: share of the machine's processor time that others had.
    """

    slowdown: float
    seed: int
    outcome: str
    ratio: float | None
    low: float | None
    high: float | None
    elapsed_s: float
    others: float | None
    first_us: tuple[int, ...]
    second_us: tuple[int, ...]
    first_waited_us: tuple[int, ...]
    second_waited_us: tuple[int, ...]
    second_led: tuple[bool, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        columns = (self.first_us, self.second_us, self.first_waited_us, self.second_waited_us, self.second_led)
        return tuple(
            Block(
                first_s=first * 1e-6,
                second_s=second * 1e-6,
                first_waited_s=first_waited * 1e-6,
                second_waited_s=second_waited * 1e-6,
                second_led=led,
            )
            for first, second, first_waited, second_waited, led in zip(*columns, strict=True)
        )


def line_of(trial: Trial) -> str:
    """Return a trial as one line of JSON."""
    row = asdict(trial)
    row["second_led"] = "".join("1" if led else "0" for led in trial.second_led)
    return json.dumps(row, separators=(",", ":"))


def trial_of(line: str) -> Trial:
    """Return the trial of a line that `line_of` made."""
    row = json.loads(line)
    row["second_led"] = tuple(letter == "1" for letter in row["second_led"])
    series = {name: tuple(value) for name, value in row.items() if name.endswith("_us")}
    return Trial(**{**row, **series})


def read(paths: Iterable[Path]) -> list[Trial]:
    """Read the trials of some files of JSON lines, plain or compressed by xz.

    Raises:
        ValueError: a line that is no trial.
    """
    import lzma  # noqa: PLC0415 - only published series are compressed

    found = []
    for path in paths:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            try:
                found.append(trial_of(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"{path}:{number} is no trial: {error}") from error
    return found
