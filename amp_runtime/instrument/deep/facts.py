"""Collects facts: one per kind and place, with the values of the worst occurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .records import RULES, Fact

if TYPE_CHECKING:
    from .sites import Place

_MOST = 1000  # kinds and places; a step that has more has been told enough


class _Kept:
    __slots__ = ("count", "notes", "values", "worst")

    def __init__(self) -> None:
        self.count = 0
        self.worst = float("-inf")
        self.values: dict[str, float] = {}
        self.notes: dict[str, str] = {}


class Facts:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, Place, str], _Kept] = {}
        self.left_out = 0

    def add(
        self,
        kind: str,
        place: Place,
        values: Mapping[str, float],
        notes: Mapping[str, str] | None = None,
        *,
        worst: float = 0.0,
        about: str = "",
    ) -> None:
        """Note an occurrence; `worst` ranks it among those of the same kind, place and `about`."""
        if kind not in RULES:
            raise AssertionError(f"{kind} is no kind of fact")
        key = (kind, place, about)
        if key not in self._kept and len(self._kept) >= _MOST:
            self.left_out += 1
            return
        kept = self._kept.setdefault(key, _Kept())
        kept.count += 1
        if worst > kept.worst or kept.count == 1:
            kept.worst, kept.values, kept.notes = worst, dict(values), dict(notes or {})

    def records(self) -> tuple[Fact, ...]:
        return tuple(
            Fact(kind=kind, site=place.site(), values=kept.values, notes=kept.notes, count=kept.count)
            for (kind, place, _), kept in self._kept.items()
        )
