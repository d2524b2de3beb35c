"""Decides how numbers are written for people: digits, units, plurals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reports.facts import as_number

if TYPE_CHECKING:
    from verifier.api import Json


def figure(value: Json) -> str:
    """Write a figure with four significant digits; what is no number is written as it is."""
    number = as_number(value)
    if number is None:
        return "" if value is None else str(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return f"{number:.4g}"


def duration(value: Json) -> str:
    """Write seconds without a unit, with the digits that matter."""
    number = as_number(value)
    if number is None or not math.isfinite(number):
        return figure(value)
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"


def seconds(value: Json) -> str:
    return f"{duration(value)} s"


def plural(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}es" if noun.endswith("s") else f"{count:,} {noun}s"


def listed(items: Iterable[str], limit: int = 6) -> str:
    """Join the first items with commas and count the rest."""
    names = list(items)
    rest = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def sentence(words: str) -> str:
    """Begin and end what a stage said like a sentence; a name at its beginning keeps its first letter."""
    if not words:
        return ""
    first = words.split(" ", maxsplit=1)[0]
    begun = words[:1].upper() + words[1:] if first.isalpha() else words
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."
