"""Asks the rules about dtypes, and keeps one finding for each place: what one call of a function shows is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stages.logic.findings import finding_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit
    from stages.logic.problems import Problem
    from verifier.api import Finding, RuleInfo


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
                if unit.region.assumed:
                    problem = replace(problem, suspicion=True, severity=None)  # noqa: PLW2901
                if key not in said or (said[key].suspicion and not problem.suspicion):
                    said[key] = problem
    for (code, _), problem in said.items():
        yield finding_of(rules[code], problem)
