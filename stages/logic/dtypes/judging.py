"""Asks the rules about dtypes, and keeps one finding for each place: what one call of a function shows is enough."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function, own_nodes
from stages.logic.findings import finding_of
from verifier.api import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope
    from stages.logic.dtypes.known import Unit
    from stages.logic.problems import Problem
    from verifier.api import Finding, RuleInfo

_ASKED = late(r"dtype|float16|half|fp16|amp\b|autocast|precision")


def judged(
    rules: Mapping[str, RuleInfo],
    judges: Sequence[tuple[str, Callable[[Project, Unit], Iterable[Problem]]]],
    project: Project,
    units: Iterable[Unit],
) -> Iterator[Finding]:
    """Yield a finding for each place that a rule has something to say about; what is established before suspicions."""
    said: dict[tuple[str, ast.AST], Problem] = {}
    for unit in units:
        for code, judge in judges:
            for problem in judge(project, unit):
                key = (code, problem.place.node)
                problem = replace(problem, symbol=problem.symbol or unit.scope.qualname or None)  # noqa: PLW2901
                if unit.region.assumed:
                    problem = replace(problem, suspicion=True, severity=None)  # noqa: PLW2901
                if key not in said or (said[key].suspicion and not problem.suspicion):
                    said[key] = problem
    for (code, _), problem in said.items():
        yield finding_of(rules[code], problem)


def suspected(
    rules: Mapping[str, RuleInfo],
    judges: Sequence[tuple[str, Callable[[Project, Unit], Iterable[Problem]]]],
    project: Project,
    units: Iterable[Unit],
    found: Container[tuple[str, str, str | None]],
) -> Iterator[Finding]:
    """Yield one finding, INFO, for each rule and function of which nothing in sight says that it runs in half.

    Args:
        found: what more is known of already: rule, path and function.
    """
    said: dict[tuple[str, Scope], dict[ast.AST, Problem]] = {}
    for unit in units:
        for code, judge in judges:
            for problem in judge(project, unit):
                if not _asks(unit, problem.place.line):
                    said.setdefault((code, unit.scope), {}).setdefault(problem.place.node, problem)
    for (code, scope), problems in said.items():
        first, *others = sorted(problems.values(), key=lambda item: item.place.line)
        if (code, first.place.module.path, scope.qualname) in found:
            continue
        same = tuple((item.place, "the same here") for item in others)
        doubt = replace(first, severity=Severity.INFO, suspicion=True, related=(*first.related, *same))
        yield finding_of(rules[code], replace(doubt, symbol=scope.qualname))


def _asks(unit: Unit, line: int) -> bool:
    """Say whether the function asks for the precision itself before it comes to a line."""
    node = unit.scope.node
    asked = (
        part
        for part in own_nodes(node.body if isinstance(node, Function) else [])
        if isinstance(part, ast.If | ast.IfExp) and part.lineno <= line <= (part.end_lineno or 0)
    )
    return any(_ASKED.search(ast.unparse(part.test)) for part in asked)
