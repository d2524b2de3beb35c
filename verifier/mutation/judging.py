"""Decides what a run of stages says of a mutant that it did not say of the task itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from verifier.model.finding import Severity
from verifier.model.stage import GateStatus, StageStatus

if TYPE_CHECKING:
    from verifier.model.finding import Finding, Json
    from verifier.model.stage import StageResult
    from verifier.mutation.mutants import Mutant

CAUGHT_FROM = Severity.MEDIUM
Word = Literal["caught", "caught by another", "suspected", "elsewhere", "missed", "not reached", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A finding that the task itself does not have. `near`: it names a place in the file of the mutant."""

    rule: str
    severity: Severity
    path: str
    line: int
    message: str
    near: bool

    def as_json(self) -> Json:
        return {
            "rule": self.rule,
            "severity": self.severity.name,
            "path": self.path,
            "line": self.line,
            "message": self.message,
            "near": self.near,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What stages say of the task as it is: the gravest finding of each rule on each line, and what fails."""

    findings: Mapping[tuple[str, str, int], Severity] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What stages say of a mutant, besides what they say of the task. `failing`: gates, or stages that broke off."""

    news: tuple[News, ...] = ()
    failing: tuple[str, ...] = ()
    duration_s: float = 0.0


def known_of(results: Sequence[StageResult]) -> Known:
    findings: dict[tuple[str, str, int], Severity] = {}
    for finding in _findings(results):
        key = (finding.rule, finding.location.path, finding.location.line)
        findings[key] = max(finding.severity, findings.get(key, finding.severity))
    return Known(findings=findings, failing=frozenset(_failing(results)))


def said_of(mutant: Mutant, results: Sequence[StageResult], known: Known) -> Said:
    """Compare with the task itself; lines of the mutated file are counted as in the file before."""
    news = []
    for finding in _findings(results):
        place = finding.location
        line = _line_before(mutant, place.path, place.line)
        before = known.findings.get((finding.rule, place.path, line))
        if before is None or finding.severity > before:
            news.append(_news(mutant, finding))
    failing = tuple(sorted({*_failing(results)} - known.failing))
    took = sum(result.duration_s for result in results)
    return Said(news=tuple(news), failing=failing, duration_s=round(took, 3))


def word_of(mutant: Mutant, news: Sequence[News]) -> Word:
    """Say whether findings catch a mutant: from MEDIUM on, and naming a place in the mutated file."""
    of_hazards = [item for item in news if item.rule[:3] in mutant.families]
    grave = [item for item in of_hazards if item.severity >= CAUGHT_FROM]
    near = [item for item in grave if item.near]
    if any(item.rule in mutant.codes for item in near):
        return "caught"
    if near:
        return "caught by another"
    if grave:
        return "elsewhere"
    return "suspected" if of_hazards else "missed"


def _news(mutant: Mutant, finding: Finding) -> News:
    places = [finding.location, *(item.location for item in finding.related)]
    return News(
        rule=finding.rule,
        severity=finding.severity,
        path=finding.location.path,
        line=finding.location.line,
        message=finding.message,
        near=any(place.path == mutant.path for place in places),
    )


def _line_before(mutant: Mutant, path: str, line: int) -> int:
    return mutant.line_before[line - 1] if path == mutant.path and 0 < line <= len(mutant.line_before) else line


def _findings(results: Sequence[StageResult]) -> list[Finding]:
    return [item.finding for result in results for item in result.findings]


def _failing(results: Sequence[StageResult]) -> list[str]:
    broken = [result.name for result in results if result.status is StageStatus.ERRORED]
    return broken + [gate.name for result in results for gate in result.gates if gate.status is GateStatus.FAIL]
