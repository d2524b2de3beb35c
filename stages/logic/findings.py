"""Turns what rules said on each path into findings: one for each cause, established or a suspicion, with its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function
from stages.logic.engine.state import happened
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stages.logic.engine.engine import Visit
    from stages.logic.engine.place import Place
    from stages.logic.engine.state import Happened
    from stages.logic.problems import Problem
    from verifier.api import Json, RuleInfo

_FLAG = late(r"amp|fp16|half|mixed|precision|scaler|autocast|bf16|float16|enabled|dtype|cuda|is_available", re.I)
_SHOWN = 8  # steps of a path in the evidence
_SUSPECTED = "The code alone does not establish it; only a run can confirm or refute it."


def findings_of(
    rules: Mapping[str, RuleInfo], visits: Mapping[tuple[str, ast.AST], Sequence[Visit]]
) -> Iterator[Finding]:
    """Yield one finding for each place at which a rule had something to say on some path."""
    for (code, _), seen in visits.items():
        said = [visit for visit in seen if visit.problem is not None]
        if not said:
            continue
        silent = [visit for visit in seen if visit.problem is None]
        visit = min(said, key=_how_established)
        suspicion = all(_hangs_on_a_flag(item, silent) for item in said)
        assert visit.problem is not None
        yield finding_of(rules[code], visit.problem, visit.trail, suspicion=suspicion)


def _how_established(visit: Visit) -> tuple[bool, int]:
    """Put what some path establishes before what others only suspect, and short paths before long ones."""
    return visit.problem is not None and visit.problem.suspicion, len(happened(visit.trail))


def finding_of(rule: RuleInfo, problem: Problem, trail: Happened | None = None, *, suspicion: bool = False) -> Finding:
    """Return the finding for what a rule said."""
    place = problem.place
    suspicion = suspicion or problem.suspicion
    severity = problem.severity if problem.severity is not None else rule.severity
    steps = happened(trail)[-_SHOWN:]
    related = (
        [*problem.related, *((step.place, step.what) for step in steps[-3:-1])]
        if not problem.related
        else problem.related
    )
    return Finding(
        rule=rule.code,
        severity=min(severity, Severity.LOW) if suspicion else severity,
        message=problem.message,
        location=location_of(place),
        symbol=problem.symbol or _function_around(place),
        related=tuple(Related(location=location_of(where), message=what) for where, what in related),
        evidence=(_evidence(place, steps),),
        why=f"{problem.why} {_SUSPECTED}".strip() if suspicion else problem.why,
        remediation=problem.remedy,
    )


def location_of(place: Place) -> Location:
    node = place.node
    line = getattr(node, "lineno", 1)
    offset = getattr(node, "col_offset", 0)
    text = place.module.lines[line - 1] if 0 < line <= len(place.module.lines) else ""
    column = len(text.encode()[:offset].decode(errors="replace")) + 1
    return Location(
        path=place.module.path, line=line, column=column, end_line=getattr(node, "end_lineno", None) or line
    )


def _hangs_on_a_flag(visit: Visit, silent: Iterable[Visit]) -> bool:
    """Say whether only a test of an AMP flag, which a scaler not made in sight may share, separates good from bad."""
    scaler = visit.problem.scaler if visit.problem is not None else None
    if scaler is None or not scaler.assumed:
        return False
    decided = dict(visit.decisions)
    for other in silent:
        for place, outcome in other.decisions:
            if decided.get(place, outcome) is not outcome and _FLAG.search(_text(place)):
                return True
    return any(_FLAG.search(_text(place)) for place in decided) and bool(list(silent))


def _text(place: Place) -> str:
    return place.module.code(place.line)


def _evidence(place: Place, steps: Sequence[Happened]) -> Evidence:
    """Return the path that leads to the place, as a reader can walk it."""
    if not steps:
        return Evidence(kind="source", summary=f"line {place.line}: {place.module.code(place.line)}")
    told = [f"{_where(step.place, place)} {step.what}" for step in steps]
    path: list[Json] = [{"path": step.place.module.path, "line": step.place.line, "what": step.what} for step in steps]
    here = f"{_where(place, place)} this finding"
    return Evidence(kind="simulation", summary="; ".join([*told, here]), data={"steps": path})


def _where(step: Place, place: Place) -> str:
    file = "" if step.module is place.module else f"{step.module.path} "
    return f"{file}line {step.line}:"


def _function_around(place: Place) -> str | None:
    node: ast.AST | None = place.node
    parents = place.module.scopes.parents
    while node is not None:
        if isinstance(node, Function):
            return place.module.scopes.scopes[node].qualname
        node = parents.get(node)
    return None
