"""How messages of the sanitizer name what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .gradients import Gradient


def of_scale(scale: float | None) -> str:
    """Return " 65536" to follow "the loss scale"; "" where it is not known."""
    return "" if scale is None else f" {scale:g}"


def scale_value(scale: float | None) -> dict[str, float]:
    return {} if scale is None else {"scale": scale}


def line(place: tuple[str, int]) -> str:
    """Return "train.py:12"; "an unknown line" where no line of the program belongs to it."""
    path, number = place
    return f"{Path(path).name}:{number}" if path else "an unknown line"


def kind(thing: Any) -> str:
    return type(thing).__name__


def share(some: Iterable[Gradient], everything: Iterable[Gradient]) -> str:
    """Return "all 4 gradients", or "2 of 4 gradients"; those that are None do not count."""
    few, many = len(list(some)), sum(one.tensor() is not None for one in everything)
    return f"all {many} gradients" if few == many else f"{few} of {many} gradients"
