"""Decides that nothing reaches a document unescaped: the one jinja environment of the project."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from reports import escape, mermaid
from reports import table as tables

if TYPE_CHECKING:
    from reports.table import Table


@functools.cache
def environment() -> jinja2.Environment:
    """Return the environment. Text is written as prose unless a filter has named its context."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,  # macros then return Markup, which `_finalize` leaves alone
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "code": escape.code,
        "fence": escape.fence,
        "folded": _folded,
        "html_text": escape.html_text,
        "mermaid": mermaid.graph,
        "paragraphs": escape.paragraphs,
        "prose": escape.prose,
        "table": tables.write,
    }
    return made


def _finalize(value: object) -> object:
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if isinstance(value, str):
        return escape.prose(value)
    if isinstance(value, int):
        return Markup(f"{value:,}")
    raise TypeError(f"a template was about to print {value!r}")


def _folded(table: Table, title: str) -> Markup:
    """Write a table, folded under its title where it is long."""
    if not table.long:
        return Markup(f"{tables.write(table)}")
    summary = f"{escape.html_text(title)} ({table.total:,})"
    return Markup(f"<details><summary>{summary}</summary>\n\n{tables.write(table)}\n\n</details>")
