"""Decides how AMP integration points, the AMP switch, tests and signatures of a task are tabled."""

from __future__ import annotations

from collections import defaultdict

from markupsafe import Markup

from reports.escape import code, prose
from reports.facts import Row, rows, text, texts, whole
from reports.figures import listed, plural
from reports.table import Cell, Table, table

FACT_ROWS = 200
_PROTOCOL = ("scaler", "autocast", "scale", "backward", "unscale", "clip", "step", "update")


def where(row: Row, line: str = "line") -> Markup:
    return code(f"{text(row, 'path')}:{whole(row, line)}", cell=True)


def span(value: str) -> Cell:
    return code(value, cell=True) if value else ""


def amp_matrix(points: list[Row]) -> Table:
    """Return one row a function and one column a step of the protocol, in protocol order."""
    lines: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in points:
        lines[text(row, "path"), text(row, "function")][text(row, "what")].append(whole(row, "line"))
    seen = {what for by_what in lines.values() for what in by_what if what}
    used = [*(what for what in _PROTOCOL if what in seen), *sorted(seen.difference(_PROTOCOL))]
    return table(
        "|".join(["Function", *(what.replace("|", "") for what in used)]),
        (
            (
                Markup(f"{code(function or 'module level', cell=True)} in {code(path, cell=True)}"),
                *(listed(map(str, sorted(set(by_what[what]))), 8) for what in used),
            )
            for (path, function), by_what in lines.items()
        ),
    )


def amp_lines(points: list[Row]) -> Table:
    return table(
        "Where|What|Code",
        ((where(row), text(row, "what"), span(text(row, "code").strip())) for row in points),
        limit=FACT_ROWS,
    )


def amp_switch(entries: list[Row]) -> Table:
    return table(
        "Function|Parameter|Default|Used at|Passed on to",
        (
            (
                Markup(f"{code(text(row, 'function'), cell=True)} in {where(row)}"),
                span(text(row, "parameter")),
                span("" if row.get("default") is None else str(row.get("default"))),
                listed(f"{whole(use, 'line')} ({text(use, 'how')})" for use in rows(row, "uses")),
                prose(
                    listed(f"`{text(to, 'function')}` at {whole(to, 'line')}" for to in rows(row, "passed_to")),
                    cell=True,
                ),
            )
            for row in entries
        ),
    )


def test_table(tests: list[Row]) -> Table:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in tests:
        groups[text(row, "path"), text(row, "class")].append(row)
    return table(
        "File|Class|Tests|Cases|Fixtures|Stand-ins|Skipped where",
        (
            (
                code(path, cell=True),
                span(name),
                len(members),
                _cases(members),
                _names(members, "fixtures"),
                _names(members, "mocks"),
                listed(dict.fromkeys(text(row, "skip") for row in members if text(row, "skip")), 3),
            )
            for (path, name), members in groups.items()
        ),
        right="Tests|Cases",
    )


def _names(members: list[Row], key: str) -> Markup:
    found = sorted({name for row in members for name in texts(row, key)})
    return prose(listed((f"`{name}`" for name in found), 6), cell=True)


def _cases(members: list[Row]) -> str:
    """Count the cases that are written out; the parameters of the other tests are computed when pytest collects."""
    known = [whole(row, "parameters") for row in members if row.get("parameters") is not None]
    unknown = len(members) - len(known)
    if not unknown:
        return f"{sum(known):,}"
    others = plural(unknown, "test")
    return f"{sum(known):,}, of {others} not written out" if known else "not written out"


def tests_note(tests: list[Row]) -> str:
    if not tests:
        return ""
    classes = {(text(row, "path"), text(row, "class")) for row in tests if text(row, "class")}
    skips = sum(bool(text(row, "skip")) for row in tests)
    within = f" in {plural(len(classes), 'class')}" if classes else ""
    conditional = f"; {plural(skips, 'test')} under a skip condition" if skips else ""
    known = [whole(row, "parameters") for row in tests if row.get("parameters") is not None]
    unknown = len(tests) - len(known)
    rest = f", and {plural(unknown, 'test')} whose cases are not written out" if unknown else ""
    return f"{plural(len(tests), 'test')}{within}, {plural(sum(known), 'case')} by parameters{rest}{conditional}."


def signature_table(entries: list[Row]) -> Table:
    return table(
        "Where|Signature|Keys of the returned dictionary",
        (
            (
                where(row),
                span(_signature(row)),
                prose(listed((f"`{key}`" for key in texts(row, "returned_keys")), 12), cell=True),
            )
            for row in entries
        ),
        limit=FACT_ROWS,
    )


def _signature(row: Row) -> str:
    name, signature, returns = text(row, "name"), text(row, "signature"), text(row, "returns")
    whole_text = signature if signature.startswith(name) and name else f"{name}{signature}"
    return whole_text if not returns or "->" in whole_text else f"{whole_text} -> {returns}"
