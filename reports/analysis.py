"""Decides what the Markdown of `verify analyze` shows of each module: eight sections, each from facts or findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.analysis_interface import InterfaceView, interface_view
from reports.environment import environment
from reports.escape import code
from reports.facts import Row, rows, section, text, texts, whole
from reports.figures import listed, plural
from reports.findings import FindingView, Judged, counted, place, view
from reports.table import Table, table
from verifier.api import VERDICT_RULE, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verifier.api import AnalysisReport, Json, ModuleAnalysis

_BLANK_LINES = re.compile(r"\n{3,}")
_NAMED = 12  # places in one cell or line


@dataclass(frozen=True, slots=True)
class ModuleView:
    """One module, ready for display."""

    path: str
    verdict: str
    because: str
    is_read: bool  # its file parses
    docstring: str
    role: tuple[Markup | str, ...]
    importers: Table
    interface: InterfaceView
    findings: tuple[FindingView, ...]
    noted: Table
    handlers: Table
    errors: tuple[str, ...]
    loops: Table
    costs: tuple[str, ...]
    reach: Table
    no_reach: str
    measures: Table
    complex: Table
    settings: Table


def markdown(report: AnalysisReport) -> str:
    """Return the document: the verdict and a table of all modules first, then each module."""
    modules = [_module(report, module) for module in report.modules]
    overview = table(
        "Module|Verdict|Findings|Lines",
        [(_code(one.path), one.verdict, _counts(one), _size(one)) for one in report.modules],
        right="Lines",
        limit=len(modules),
    )
    written = (
        environment()
        .get_template("analysis.md.j2")
        .render(
            report=report,
            modules=modules,
            overview=overview if len(modules) > 1 else table("Module", []),
            rule=VERDICT_RULE,
            suppressed=_suppressed(report),
            command=str(report.tool.get("command", "")),
        )
    )
    return _BLANK_LINES.sub("\n\n", written).strip() + "\n"


def _module(report: AnalysisReport, module: ModuleAnalysis) -> ModuleView:
    facts = module.facts
    judged = [Judged("", 0, item) for item in module.findings]
    counting = [item for item in judged if item.reported.finding.severity > Severity.INFO]
    noted = [item.reported.finding for item in judged if item.reported.finding.severity == Severity.INFO]
    purpose, errors = section(facts, "purpose"), section(facts, "robustness")
    cost, size = section(facts, "performance"), section(facts, "maintainability")
    reach, no_reach = _reach(section(facts, "security"))
    return ModuleView(
        path=module.path,
        verdict=module.verdict.value,
        because=counted(counting) or "no finding above INFO",
        is_read=bool(facts),
        docstring=text(purpose, "docstring"),
        role=tuple(_role(purpose)),
        importers=_places("imported by", rows(purpose, "imported_by")),
        interface=interface_view(section(facts, "interface")),
        findings=tuple(view(item, report.snippets) for item in counting),
        noted=table("Rule|Place|What", [(item.rule, _code(place(item.location)), item.message) for item in noted]),
        handlers=table(
            "Line|Catches|What becomes of it",
            [(whole(row, "line"), listed(texts(row, "catches")), _done(row)) for row in rows(errors, "handlers")],
            right="Line",
        ),
        errors=tuple(_errors(errors)),
        loops=_loops(rows(cost, "loops")),
        costs=tuple(_costs(cost)),
        reach=reach,
        no_reach=no_reach,
        measures=_measures(size),
        complex=table(
            "Function|Line|Complexity",
            [
                (_code(text(row, "name")), whole(row, "line"), whole(row, "complexity"))
                for row in rows(size, "complexity")
            ],
            right="Line|Complexity",
        ),
        settings=table(
            "Parameter|In|Settings read by getattr with a default",
            [
                (_code(text(row, "parameter")), _code(text(row, "function")), listed(texts(row, "settings")))
                for row in rows(size, "configuration_access")
            ],
        ),
    )


def _code(written: str) -> Markup:
    return code(written, cell=True)


def _counts(module: ModuleAnalysis) -> str:
    return counted(Judged("", 0, item) for item in module.findings)


def _size(module: ModuleAnalysis) -> int:
    return whole(section(module.facts, "maintainability"), "lines")


def _role(purpose: Row) -> Iterable[Markup | str]:
    users = len(rows(purpose, "imported_by"))
    yield Markup(f"Module {code(text(purpose, 'module'))}")
    if purpose.get("is_script") is True:
        yield "It can be run as a script."
    yield (
        f"Imported in {users:,} place{'' if users == 1 else 's'} of the project."
        if users
        else ("Nothing in the project imports it.")
    )


def _places(head: str, found: Sequence[Row]) -> Table:
    return table(f"{head}|Line", [(_code(text(row, "path")), whole(row, "line")) for row in found], right="Line")


def _done(row: Row) -> str:
    return f"{text(row, 'does')} (broad)" if row.get("broad") is True else text(row, "does")


def _errors(errors: Row) -> Iterable[str]:
    raised = rows(errors, "raises")
    kinds = sorted({text(row, "what") for row in raised})
    yield (
        f"Raises {listed(kinds)}, in {_lines([row.get('line') for row in raised])}."
        if raised
        else "Raises nothing itself."
    )
    for key, said in (
        ("finally", "Cleans up in `finally`"),
        ("asserts", "Asserts, which `python -O` leaves out"),
        ("unclosed", "Opens a file without `with`"),
    ):
        found = errors.get(key)
        if isinstance(found, list) and found:
            yield f"{said}: {_lines(found)}."


def _lines(found: Sequence[Json]) -> str:
    numbers = [item for item in found if isinstance(item, int)]
    shown = ", ".join(f"{number}" for number in numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"line{'' if len(numbers) == 1 else 's'} {shown}{more}"


def _loops(found: Sequence[Row]) -> Table:
    return table(
        "Lines|Loop over|Depth|Waits for the device|Allocates",
        [
            (
                f"{whole(row, 'line')} to {whole(row, 'end_line')}",
                _code(text(row, "over")),
                whole(row, "depth"),
                _calls(rows(row, "syncs")),
                _calls(rows(row, "allocations")),
            )
            for row in found
        ],
        right="Depth",
    )


def _calls(found: Sequence[Row]) -> str:
    return listed(f"`{text(row, 'what')}` in line {whole(row, 'line')}" for row in found)


def _costs(cost: Row) -> Iterable[str]:
    count = whole(cost, "loop_count")
    heavy = len(rows(cost, "loops"))
    if not count:
        yield "No loops."
        return
    told = f"{heavy:,} wait for the device or allocate"
    if heavy < 2:
        told = f"{'1' if heavy else 'none'} waits for the device or allocates"
    yield f"{plural(count, 'loop')}; {told} in each turn."
    for row in rows(cost, "warm_ups"):
        yield f"Line {whole(row, 'line')} warms up over `{text(row, 'over')}`, which is paid before every use."


def _reach(reach: Row) -> tuple[Table, str]:
    found = [(kind, rows(reach, kind)) for kind in reach]
    shown = [(kind, _code(text(row, "what")), whole(row, "line")) for kind, places in found for row in places]
    return table("What|Call|Line", shown, right="Line"), listed([kind for kind, places in found if not places])


def _measures(size: Row) -> Table:
    longest = section(size, "longest")
    mean = size.get("mean_complexity")
    return table(
        "Measure|Value",
        [
            ("lines", f"{whole(size, 'lines'):,}: {whole(size, 'code'):,} code, {whole(size, 'comments'):,} comments"),
            (
                "definitions",
                f"{plural(whole(size, 'classes'), 'class')}, {plural(whole(size, 'functions'), 'function')}",
            ),
            ("longest function", f"{text(longest, 'name', 'none')}, {whole(longest, 'lines')} lines"),
            ("mean complexity (McCabe)", f"{mean}"),
            ("annotated parameters and results", _share(size, "annotated", "annotatable")),
            ("public definitions with a docstring", _share(size, "documented", "documentable")),
        ],
    )


def _share(size: Row, part: str, total: str) -> str:
    count, of = whole(size, part), whole(size, total)
    return f"{count} of {of} ({count / of:.0%})" if of else "none to cover"


def _suppressed(report: AnalysisReport) -> Table:
    return table(
        "Rule|Place|Reason",
        [
            (item.finding.finding.rule, _code(place(item.finding.finding.location)), item.reason)
            for item in report.suppressed
        ],
    )
