"""Decides which measured numbers of two reports differ by more than their noise: only where the intervals part."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.model.comparison import ComparedFigure, Turn

if TYPE_CHECKING:
    from verifier.saved.report import SavedReport

_CENTRES = ("value", "ratio")
_NAMES = ("name", "workload", "metric", "figure", "script")
_MORE_IS_BETTER = re.compile(r"speed-?_?up|reduction|throughput|per_s\b|efficiency|utili[sz]ation|ratio")
_NEAR_ZERO_IS_BETTER = re.compile(r"difference")
_LESS_IS_BETTER = re.compile(r"seconds|time|latency|memory|peak|bytes|start|overhead|work|cost")
_LESS_UNITS = frozenset({"s", "ms", "us", "B", "bytes", "MiB", "GiB", "MB", "GB"})
_WHERE = ("device", "dtype", "precision")
_DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """A number with its interval, as facts hold it."""

    value: float
    low: float
    high: float
    unit: str
    where: tuple[str, ...]


def compare_figures(old: SavedReport, new: SavedReport) -> tuple[ComparedFigure, ...]:
    """Return the figures that both reports have, the worse first."""
    before, after = _figures(old), _figures(new)
    compared = [_compared(name, before[name], after[name]) for name in before if name in after]
    order = [Turn.WORSE, Turn.BETTER, Turn.CHANGED, Turn.SAME]
    return tuple(sorted(compared, key=lambda figure: (order.index(figure.turn), figure.name)))


def _figures(report: SavedReport) -> dict[str, _Figure]:
    return {name: figure for stage in report.stages for name, figure in _below(stage.facts, (stage.name,))}


def _below(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, _Figure]]:
    if len(path) > _DEEPEST:
        return
    if isinstance(value, Mapping):
        figure = _figure(value)
        if figure is not None:
            yield "/".join(path), figure
            return
        for key, item in value.items():
            yield from _below(item, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            yield from _below(item, (*path, _label(item, number)))


def _label(item: Any, number: int) -> str:
    """Return the name by which an item of a list is found again, wherever in the list it stands."""
    names = (item.get(key) for key in _NAMES) if isinstance(item, Mapping) else ()
    return next((name for name in names if isinstance(name, str) and name), str(number))


def _figure(value: Mapping[str, Any]) -> _Figure | None:
    low, high = _number(value.get("low")), _number(value.get("high"))
    centre = next((number for key in _CENTRES if (number := _number(value.get(key))) is not None), None)
    if low is None or high is None or centre is None or low > high:
        return None
    unit = value.get("unit")
    where = tuple(str(value[key]) for key in _WHERE if value.get(key))
    return _Figure(value=centre, low=low, high=high, unit=unit if isinstance(unit, str) else "", where=where)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _compared(name: str, old: _Figure, new: _Figure) -> ComparedFigure:
    turn, note = _turn(name, old, new), ""
    if old.where != new.where:
        turn = Turn.CHANGED
        note = f"not comparable: {', '.join(old.where) or 'nowhere said'} and {', '.join(new.where) or 'nowhere said'}"
    return ComparedFigure(
        name=name,
        unit=new.unit,
        old=old.value,
        new=new.value,
        old_interval=(old.low, old.high),
        new_interval=(new.low, new.high),
        turn=turn,
        note=note,
    )


def _turn(name: str, old: _Figure, new: _Figure) -> Turn:
    if old.low <= new.high and new.low <= old.high:
        return Turn.SAME
    last = name.rpartition("/")[2].lower()
    words = name.lower()
    if _NEAR_ZERO_IS_BETTER.search(last):
        return Turn.BETTER if abs(new.value) < abs(old.value) else Turn.WORSE
    if new.unit == "x" or _MORE_IS_BETTER.search(words):
        return Turn.BETTER if new.value > old.value else Turn.WORSE
    if new.unit in _LESS_UNITS or _LESS_IS_BETTER.search(words):
        return Turn.BETTER if new.value < old.value else Turn.WORSE
    return Turn.CHANGED
