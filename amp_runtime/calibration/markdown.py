"""Decides how text of a profile is written into Markdown, so that nothing in it can become structure. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LONG = 12  # rows from which on a table is folded
_CELL_LIMIT = 300
# Words, numbers and the marks between them, of which neither Markdown nor a code host makes anything.
_PLAIN = re.compile(r"(?!\d+[.)])[^\W_](?:[^\W_]|[ ,;()%>=/'-]|[.:](?=\s|$|\d)|(?<=\d)\.(?=\d))*")


def grid(head: Sequence[str], body: Iterable[Sequence[str]], *, right: set[int]) -> str:
    """Write a table of cells that are escaped already; columns of `right` end at the same place."""
    rule = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def folded(table: str, rows: int, summary: str) -> str:
    """Fold a long table under a summary."""
    return table if rows < _LONG else f"<details><summary>{summary} ({rows})</summary>\n\n{table}\n\n</details>"


def code(text: str) -> str:
    """Write text as a code span for a table cell, which nothing in it can end."""
    shown = _visible(text).replace("|", "\\|")
    if not shown:
        return "(empty)"
    ticks = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    padded = f" {shown} " if shown[0] == "`" or shown[-1] == "`" else shown
    return f"{ticks}{padded}{ticks}"


def prose(text: str) -> str:
    """Write text as it is where it is only words, else as a code span: names, addresses, mentions, markup."""
    shown = _visible(text)
    return shown if not shown or _PLAIN.fullmatch(shown) else code(text)


def escaped(text: str) -> str:
    """Write text with a backslash before all punctuation, of which Markdown could make something."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _visible(text))


def _visible(text: str) -> str:
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return shown if len(shown) <= _CELL_LIMIT else f"{shown[:_CELL_LIMIT]}…"
