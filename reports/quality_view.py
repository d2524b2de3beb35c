"""Decides how lint, conventions and configuration files of a task are told."""

from __future__ import annotations

from collections import Counter

from reports.escape import code, prose
from reports.facts import Row, rows, section, text, whole
from reports.figures import listed, plural, sentence
from reports.inventory_view import FACT_ROWS, span
from reports.table import Table, table


def lint_line(lint: Row) -> str:
    tool = text(lint, "tool")
    if not tool:
        return ""
    kinds = sum(whole(section(lint, "rules"), group) for group in section(lint, "rules"))
    rules = f"{plural(kinds, 'rule')} about defects, none about style"
    looked = f"{tool} read {plural(whole(lint, 'files'), 'file')} for {rules}"
    unread = [f"`{text(row, 'path')}` ({text(row, 'reason')})" for row in rows(lint, "unread")]
    missed = f" It could not read {listed(unread, 4)}." if unread else ""
    return f"{looked}: {plural(whole(lint, 'errors'), 'error')}.{missed}"


def lint_table(lint: Row) -> Table:
    return table(
        "Rule|Name|Errors|Files",
        (
            (span(text(row, "code")), text(row, "name"), whole(row, "errors"), whole(row, "files"))
            for row in rows(lint, "by_rule")
        ),
        right="Errors|Files",
    )


def conventions_line(entries: list[Row]) -> str:
    """Sum up the files that are no tests."""
    own = [row for row in entries if row.get("test") is not True]
    functions, public = _sum(own, "functions"), _sum(own, "functions") + _sum(own, "classes")
    said = []
    if public:
        said.append(f"docstrings on {_sum(own, 'docstrings'):,} of {public:,} public functions and classes")
    if functions:
        said.append(f"full annotations on {_sum(own, 'annotated'):,} of {functions:,} public functions")
    units = Counter(_unit(text(row, "indent")) for row in own if text(row, "indent"))
    if units:
        said.append(
            "indentation: " + ", ".join(f"{unit} ({plural(count, 'file')})" for unit, count in units.most_common(4))
        )
    return sentence("; ".join(said))


def conventions_table(entries: list[Row]) -> Table:
    own = [row for row in entries if row.get("test") is not True and (text(row, "indent") or rows(row, "naming"))]
    return table(
        "File|Functions|Classes|Docstrings|Annotated|Indentation|Not in snake_case or CamelCase",
        (
            (
                code(text(row, "path"), cell=True),
                whole(row, "functions"),
                whole(row, "classes"),
                whole(row, "docstrings"),
                whole(row, "annotated"),
                text(row, "indent"),
                prose(
                    listed(f"`{text(name, 'name')}` {whole(name, 'line')}" for name in rows(row, "naming")), cell=True
                ),
            )
            for row in own
        ),
        right="Functions|Classes|Docstrings|Annotated",
        limit=FACT_ROWS,
    )


def config_table(entries: list[Row]) -> Table:
    return table(
        "File|Format|Status|Note",
        (
            (code(text(row, "path"), cell=True), text(row, "format"), text(row, "status"), text(row, "error"))
            for row in entries
        ),
    )


def _unit(indent: str) -> str:
    return "several units" if " block" in indent else indent


def _sum(entries: list[Row], key: str) -> int:
    return sum(whole(row, key) for row in entries)
