"""Turns what rules said of one file into findings: one for each cause, with every place of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator

    from stages._source.program.project import Module
    from stages.security.problem import Problem
    from stages.security.view import View
    from verifier.api import RuleInfo

_PLACES = 20


def findings_of(rule: RuleInfo, view: View, problems: Iterable[Problem]) -> Iterator[Finding]:
    """Yield the findings of one rule in one file. Of problems with one cause the gravest, then the first, speaks."""
    groups: dict[object, list[Problem]] = {}
    for index, problem in enumerate(problems):
        groups.setdefault(problem.cause or index, []).append(problem)
    for group in groups.values():
        group.sort(key=lambda item: (-_severity(rule, item), _line(item.node)))
        yield _finding(rule, view, group[0], group[1:])


def _severity(rule: RuleInfo, problem: Problem) -> Severity:
    return rule.severity if problem.severity is None else problem.severity


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))


def _finding(rule: RuleInfo, view: View, problem: Problem, others: list[Problem]) -> Finding:
    line = _line(problem.node)
    message = problem.message + (f"; {len(others) + 1} places in this file" if others else "")
    return Finding(
        rule=rule.code,
        severity=_severity(rule, problem),
        message=message,
        location=location_of(view.module, problem.node),
        symbol=problem.symbol or view.label(problem.node),
        related=tuple(
            Related(location=location_of(view.module, other.node), message=other.message) for other in others[:_PLACES]
        ),
        evidence=(Evidence(kind="source", summary=f"line {line}: {view.module.code(line)}"),),
        why=problem.why,
        remediation=problem.remedy,
    )


def location_of(module: Module, node: ast.AST) -> Location:
    """Return where a node stands, columns counted in characters."""
    line = _line(node)
    text = module.lines[line - 1] if 0 < line <= len(module.lines) else ""
    column = len(text.encode()[: getattr(node, "col_offset", 0)].decode(errors="replace")) + 1
    return Location(path=module.path, line=line, column=column, end_line=getattr(node, "end_lineno", None) or line)
