"""What `verify analyze` says of modules: findings, facts by section, and a verdict that a stated rule derives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from verifier.model.finding import Json, Severity

if TYPE_CHECKING:
    from verifier.model.report import Suppressed
    from verifier.model.stage import Reported

ANALYSIS_SCHEMA = "verifier-analysis/1"
VERDICT_RULE = (
    "`UNSOUND` where a finding is CRITICAL or HIGH, or a stage did not finish; `NEEDS_ATTENTION` where one is MEDIUM or"
    " LOW; `SOUND` where none is above INFO. Findings that a comment allows do not count, and are listed."
)


class Soundness(StrEnum):
    """From good to bad."""

    SOUND = "SOUND"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"
    UNSOUND = "UNSOUND"


def soundness(findings: Iterable[Reported]) -> Soundness:
    """Derive the verdict as `VERDICT_RULE` says."""
    worst = max((item.finding.severity for item in findings), default=Severity.INFO)
    if worst >= Severity.HIGH:
        return Soundness.UNSOUND
    return Soundness.NEEDS_ATTENTION if worst > Severity.INFO else Soundness.SOUND


def worst_of(verdicts: Iterable[Soundness]) -> Soundness:
    return max(verdicts, key=list(Soundness).index, default=Soundness.SOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleAnalysis:
    """One module. `facts`: section -> what was read there; empty where the file does not parse."""

    path: str
    verdict: Soundness
    findings: tuple[Reported, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisReport:
    """All modules of one command.

    Args:
        unfinished: stages that did not finish, each with the reason: nothing is sound then.
        snippets: source lines around findings: (path, line) -> text.
    """

    verdict: Soundness
    modules: tuple[ModuleAnalysis, ...]
    tool: Mapping[str, Json]
    unfinished: tuple[str, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    snippets: Mapping[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisFormat:
    """A format of that report: a pure function. `filename` is its document's in the folder of `--output`."""

    name: str
    filename: str
    summary: str
    render: Callable[[AnalysisReport], str]
