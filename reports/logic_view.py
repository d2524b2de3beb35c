"""Decides what the page of stage 2 shows: the order of AMP events in each training function, and what was not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code
from reports.facts import Row, rows, text, texts, whole
from reports.figures import listed
from reports.table import Table, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_FUNCTIONS = 12


@dataclass(frozen=True, slots=True)
class LogicView:
    """The detail sections of stage 2; an empty one is left out."""

    paths: tuple[tuple[Markup, Table], ...]
    more_paths: int
    not_read: str
    not_finished: str


def logic_view(facts: Row) -> LogicView:
    """Build the view."""
    paths = rows(facts, "training_paths")
    return LogicView(
        paths=tuple((_function(row), _steps(rows(row, "steps"))) for row in paths[:_FUNCTIONS]),
        more_paths=max(0, len(paths) - _FUNCTIONS),
        not_read=_named(facts, "not_read"),
        not_finished=_named(facts, "not_finished"),
    )


def _function(row: Row) -> Markup:
    return code(f"{text(row, 'module')}: {text(row, 'function')}")


def _steps(steps: Sequence[Row]) -> Table:
    cells = [
        (number, code(f"{text(step, 'path')}:{whole(step, 'line')}", cell=True), text(step, "what"))
        for number, step in enumerate(steps, start=1)
    ]
    return table("n|place|what happens", cells, right="n")


def _named(facts: Row, name: str) -> str:
    return listed(texts(facts, name))
