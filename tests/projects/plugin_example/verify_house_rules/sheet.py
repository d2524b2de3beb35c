"""The format `csv`: one row a finding, for a spreadsheet. It opens no file and reads no clock."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from verifier.api import Renderer

if TYPE_CHECKING:
    from verifier.api import RunReport

_HEAD = ("stage", "rule", "severity", "blocks", "path", "line", "message")
_FORMULAS = ("=", "+", "-", "@")


def render(report: RunReport) -> str:
    """Return the head and a row for every finding, in the order of the report."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for stage in report.stages:
        for item in stage.findings:
            finding, place = item.finding, item.finding.location
            row = (stage.name, finding.rule, finding.severity.name, item.blocking, place.path, place.line, finding.message)
            writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: object) -> str:
    """Write a value so that it stays one: names come from code that anybody may have written."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))
    return f"'{shown}" if shown.startswith(_FORMULAS) else shown  # a spreadsheet would compute it


RENDERER = Renderer(name="csv", filename="report.csv", summary="one row a finding, for a spreadsheet", render=render)
