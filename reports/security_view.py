"""Decides what the page of stage 5 shows: what leaves for experiment trackers, and with which tools was looked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code
from reports.facts import Row, rows, section, text, texts, whole
from reports.figures import listed
from reports.table import Table, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.table import Cell


@dataclass(frozen=True, slots=True)
class SecurityView:
    """The detail sections of stage 5; an empty one is left out."""

    trackers: Table
    inventory: Table
    tools: Table
    not_read: str


def security_view(facts: Row) -> SecurityView:
    """Build the view."""
    sent = rows(facts, "tracker_inventory")
    return SecurityView(
        trackers=_trackers(sent),
        inventory=table("tracker|kind|key|what is sent|place", [_sent(row) for row in sent]),
        tools=table("looked for by|which", _tools(section(facts, "tools"))),
        not_read=listed(texts(facts, "not_read")),
    )


def _trackers(sent: Sequence[Row]) -> Table:
    counts = Counter((text(row, "tracker"), text(row, "kind")) for row in sent)
    return table("tracker|kind|values", [(*key, count) for key, count in sorted(counts.items())], right="values")


def _sent(row: Row) -> tuple[Cell, ...]:
    key, source = text(row, "key"), text(row, "source")
    return (
        text(row, "tracker"),
        text(row, "kind"),
        code(key, cell=True) if key else "",
        code(source, cell=True) if source else "chosen by the tracker",
        code(f"{text(row, 'path')}:{whole(row, 'line')}", cell=True),
    )


def _tools(tools: Row) -> list[tuple[Cell, ...]]:
    return [(name, text(tools, name) or "not installed") for name in tools]
