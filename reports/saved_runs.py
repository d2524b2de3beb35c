"""Decides how a page tells what saved runs say of this one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code
from reports.facts import Row, as_number, rows, section, text, whole
from reports.figures import plural
from reports.table import Table, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.api import Json

MODES = {"fp32": "FP32", "amp": "AMP", "fp32-compiled": "FP32, compiled", "amp-compiled": "AMP, compiled"}


@dataclass(frozen=True, slots=True)
class SavedRuns:
    """One class of machines and what its saved runs say."""

    path: str
    about: str
    note: str
    table: Table


def saved_runs(one: Row) -> SavedRuns:
    key = section(one, "key")
    runs = whole(one, "runs")
    about = (
        f"{plural(runs, 'run')} saved on {text(key, 'machine', 'this machine')}, torch {text(key, 'torch')}, "
        f"{plural(whole(key, 'threads'), 'thread')}."
    )
    return SavedRuns(text(one, "path"), about if runs else "", text(one, "note"), _compared(rows(one, "comparisons")))


def _compared(compared: Sequence[Row]) -> Table:
    return table(
        "Workload|Mode|Result|Step time|Interval|Saved runs|New processes|Spread between runs|Activations|Accuracy",
        (
            (
                code(text(row, "name"), cell=True),
                mode_name(row, "mode"),
                text(row, "outcome"),
                _changed(row.get("ratio")),
                f"{_changed(row.get('low'))} to {_changed(row.get('high'))}",
                whole(row, "runs"),
                whole(row, "processes"),
                percent(row.get("spread")),
                _against(row, "activations"),
                _points(row),
            )
            for row in compared
        ),
        right="Step time|Saved runs|New processes|Spread between runs|Activations|Accuracy",
    )


def _changed(ratio: Json) -> str:
    number = as_number(ratio)
    return "" if number is None or not math.isfinite(number) else f"{100 * (number - 1):+.1f} %"


def _against(row: Row, key: str) -> str:
    now, last = as_number(row.get(key)), as_number(row.get(f"last_{key}"))
    return _changed(now / last) if now is not None and last else ""


def _points(row: Row) -> str:
    now, last = as_number(row.get("accuracy")), as_number(row.get("last_accuracy"))
    return "" if now is None or last is None else f"{now - last:+.4f}"


def percent(value: Json) -> str:
    number = as_number(value)
    return "" if number is None else f"{100 * number:.3g} %"


def mode_name(timed: Row, key: str) -> str:
    name = text(timed, key)
    return MODES.get(name, name)
