"""Decides how the inventory is told: one row for each tracker, key and source expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.security.inventory.calls import sent
from stages.security.view import shown

if TYPE_CHECKING:
    from stages.security.view import View
    from verifier.api import Json


def tracked(view: View) -> list[dict[str, Json]]:
    """Return what the file sends to trackers, in source order."""
    rows: list[dict[str, Json]] = []
    for item in sent(view):
        row: dict[str, Json] = {
            "tracker": item.tracker,
            "kind": item.kind,
            "key": item.key,
            "source": "" if item.value is None else shown(item.value),
            "call": shown(item.call.func),
            "path": view.module.path,
            "line": item.call.lineno,
        }
        if row not in rows:
            rows.append(row)
    return rows
