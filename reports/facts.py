"""Decides how facts of a stage are read: what is absent or of another shape is left out, never a crash."""

from __future__ import annotations

from collections.abc import Mapping

from verifier.api import Json

Row = Mapping[str, Json]


def rows(facts: Row, key: str) -> list[Row]:
    value = facts.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def section(facts: Row, key: str) -> Row:
    value = facts.get(key)
    return value if isinstance(value, Mapping) else {}


def text(row: Row, key: str, default: str = "") -> str:
    value = row.get(key)
    return value if isinstance(value, str) else default


def texts(row: Row, key: str) -> list[str]:
    value = row.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def whole(row: Row, key: str) -> int:
    """Return a count; a list counts its items."""
    value = row.get(key)
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int) else 0


def as_number(value: Json) -> float | None:
    """Return a number; non-finite ones may have been written as text already."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def numbers(row: Row, key: str) -> list[float]:
    value = row.get(key)
    found = [as_number(item) for item in value] if isinstance(value, list) else []
    return [number for number in found if number is not None]
