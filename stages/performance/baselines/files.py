"""Decides what a stored baseline looks like, and refuses what is none. Pure text in, text out.

The files belong into version control, so they stand in `.verify-baselines/TASK/` at the root and not in `.verify/`,
which is ignored; the leading dot keeps them out of what is verified. One file a class of machine: two machines never
write the same file, so that merging them is no conflict.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.api import BaselineError, read_regular

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ".verify-baselines"
SCHEMA = "verifier-performance-baseline/1"
MOST_RUNS = 20
_LIMIT_BYTES = 4 * 2**20
_TEXT_LIMIT = 300
_DIGITS = 6
_MOST = 1e18
_FIGURES = ("step", "low", "high", "step_s", "reference_s", "activations", "whole", "accuracy")
_POSITIVE = ("step", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKey:
    """On what figures may be compared: the same hardware, the same torch up to its minor version, as many threads.

    Args:
        machine: the class as calibration names it.
        reference: version of the work that step times are told in.
    """

    machine: str
    torch: str
    threads: int
    reference: int = 1

    @property
    def file_name(self) -> str:
        words = f"{self.machine}-torch{self.torch}-{self.threads}threads"
        return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', words).strip('-.')[:150] or 'machine'}.json"

    def document(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "torch": self.torch,
            "threads": self.threads,
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One figure of one saved run: a training step of a workload in one mode.

    Args:
        step: its time in calls of the reference work, with its interval.
        samples: pairs that this rests on.
        level: which state of the program it belongs to; runs of one level did not differ.
        activations, whole: bytes of a step.
    """

    step: float
    low: float
    high: float
    samples: int
    level: int
    step_s: float | None = None
    reference_s: float | None = None
    activations: float | None = None
    whole: float | None = None
    accuracy: float | None = None

    def document(self) -> dict[str, Any]:
        values = {name: _rounded(getattr(self, name)) for name in _FIGURES}
        found = {"samples": self.samples, "level": self.level, **values}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run that was kept. `figures`: workload -> mode -> figure. `reason`: why it was kept although unfit."""

    saved_at: str
    commit: str | None
    dirty: bool | None
    verifier: str
    figures: Mapping[str, Mapping[str, Saved]]
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "saved_at": self.saved_at,
            "commit": self.commit,
            "dirty": self.dirty,
            "verifier": self.verifier,
            **({"reason": self.reason} if self.reason else {}),
            "figures": {
                name: {mode: saved.document() for mode, saved in modes.items()} for name, modes in self.figures.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The saved runs of one task on one class of machine, oldest first."""

    task: str
    key: MachineKey
    runs: tuple[SavedRun, ...]

    def extended(self, run: SavedRun) -> Baseline:
        return Baseline(task=self.task, key=self.key, runs=(*self.runs, run)[-MOST_RUNS:])

    def text(self) -> str:
        """Write it so that a saved run adds lines to a diff, and moves none."""
        document = {
            "schema": SCHEMA,
            "task": self.task,
            "key": self.key.document(),
            "runs": [run.document() for run in self.runs],
        }
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def path_of(task: str, key: MachineKey) -> str:
    """Return where the baseline of a task on a class of machine stands, relative to the root."""
    return f"{FOLDER}/{task}/{key.file_name}"


def load(root: Path, task: str, key: MachineKey) -> Baseline | None:
    """Read the baseline of this class of machine; None where there is none.

    Raises:
        BaselineError: there is one, and it cannot be used: damaged, of another machine or version, or no baseline.
    """
    name = path_of(task, key)
    try:
        data = read_regular(root / name, _LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{name}: it cannot be read: {error.strerror or error}") from None
    found = parse(data, name)
    if found.task != task:
        raise BaselineError(f"{name}: it is of task {found.task!r}, not of {task!r}; restore the right file")
    ours, theirs = key.document(), found.key.document()
    if wrong := [f"{part} {theirs[part]!r} and not {ours[part]!r}" for part in ours if ours[part] != theirs[part]]:
        raise BaselineError(
            f"{name}: it was measured elsewhere ({'; '.join(wrong)}), and figures of two machines say nothing of each "
            "other; remove it, and save one here with --save-baseline"
        )
    return found


def others(root: Path, task: str, key: MachineKey) -> int:
    """Return how many files of other classes of machines there are."""
    try:
        names = [path.name for path in (root / FOLDER / task).iterdir() if path.suffix == ".json"]
    except OSError:
        return 0
    return len([name for name in names if name != key.file_name])


def parse(data: bytes, name: str) -> Baseline:
    """Read the text of a baseline.

    Raises:
        BaselineError: it is none. The sentence says what is wrong and what to do.
    """
    remedy = "restore it from version control, or remove it and save a new one with --save-baseline"
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise BaselineError(f"{name}: it is nested too deeply to be read; {remedy}") from None
    except ValueError as error:
        raise BaselineError(f"{name}: it is damaged: {error}; {remedy}") from None
    try:
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise _WrongError(_of_other_version(schema))
        return Baseline(
            task=_text(document, "task"),
            key=_key(_table(document, "key")),
            runs=tuple(_run(run, number) for number, run in enumerate(_list(document, "runs"), 1)),
        )
    except _WrongError as error:
        raise BaselineError(f"{name}: {error}; {remedy}") from None


class _WrongError(ValueError):
    """What is wrong with a value, and where it stands."""


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no figure")


def _of_other_version(schema: object) -> str:
    if isinstance(schema, str) and schema.startswith(SCHEMA.rpartition("/")[0] + "/"):
        return f"it has the format {schema[:60]!r}, and this version of verify reads {SCHEMA}"
    return f"it is no baseline: `schema` is not {SCHEMA}"


def _key(table: Mapping[str, Any]) -> MachineKey:
    return MachineKey(
        machine=_text(table, "machine"),
        torch=_text(table, "torch"),
        threads=_count(table, "threads"),
        reference=_count(table, "reference"),
    )


def _run(value: object, number: int) -> SavedRun:
    if not isinstance(value, dict):
        raise _WrongError(f"run {number} is no table")
    commit, dirty = value.get("commit"), value.get("dirty")
    if not (commit is None or isinstance(commit, str)) or not (dirty is None or isinstance(dirty, bool)):
        raise _WrongError(f"run {number}: `commit` must be text, and `dirty` true or false")
    figures = {}
    for name, modes in _table(value, "figures").items():
        if not isinstance(modes, dict):
            raise _WrongError(f"run {number}: the figures of {name[:60]!r} are no table")
        figures[name] = {
            mode: _saved(saved, f"run {number}, {name[:60]!r}, {mode[:20]}") for mode, saved in modes.items()
        }
    return SavedRun(
        saved_at=_text(value, "saved_at"),
        commit=commit,
        dirty=dirty,
        verifier=_text(value, "verifier"),
        reason=_text(value, "reason") if "reason" in value else None,
        figures=figures,
    )


def _saved(value: object, where: str) -> Saved:
    if not isinstance(value, dict):
        raise _WrongError(f"{where}: no table")
    numbers: dict[str, float] = {}
    for name in _FIGURES:
        if name not in value and name not in _POSITIVE:
            continue
        numbers[name] = _number(value.get(name), name, where)
    if not numbers["low"] <= numbers["step"] <= numbers["high"]:
        raise _WrongError(f"{where}: the interval does not hold the figure")
    return Saved(samples=_count(value, "samples"), level=_count(value, "level"), **numbers)


def _number(value: object, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _WrongError(f"{where}: `{name}` is no number")
    if 0 <= value < _MOST and (value > 0 or name not in _POSITIVE):
        return float(value)
    raise _WrongError(f"{where}: `{name}` is no finite number above 0")


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or len(value) > _TEXT_LIMIT:
        raise _WrongError(f"`{key}` must be a text of at most {_TEXT_LIMIT} characters")
    return value


def _count(table: Mapping[str, Any], key: str) -> int:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
        raise _WrongError(f"`{key}` must be a whole number of 1 or more")
    return value


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    if not isinstance(value, dict):
        raise _WrongError(f"`{key}` must be a table")
    return value


def _list(table: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = table.get(key)
    if not isinstance(value, list) or len(value) > 10 * MOST_RUNS:
        raise _WrongError(f"`{key}` must be a list of at most {10 * MOST_RUNS} runs")
    return value


def _rounded(value: float | None) -> float | int | None:
    if value is None or value == 0:
        return value
    rounded = round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return int(value) if isinstance(value, int) or (float(value).is_integer() and value > 10**_DIGITS) else rounded
