"""Turn what went wrong into findings: one cause is one finding, at the project's own line, with everything it hit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.api import Evidence, Finding, Location, Related

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from amp_runtime.wire import Failure, Frame
    from verifier.api import RuleInfo

_SEVERAL = 12  # related places that are listed; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was being done when something went wrong: "importing pkg.a", and where that is written."""

    name: str
    doing: str
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that went wrong for one subject.

    Causes with the same rule and key are one finding, and so are causes of any rule with the same origin: an
    exception of one type and text that was raised at one line breaks imports, tests and workloads alike.
    """

    rule: RuleInfo
    subject: Subject
    key: tuple[object, ...]
    message: str
    location: Location
    remediation: str
    impact: str = ""
    evidence: tuple[Evidence, ...] = ()
    origin: tuple[str, str, Location] | None = None


def findings_of(causes: Iterable[Cause]) -> tuple[Finding, ...]:
    """Merge causes into findings, in order of place."""
    groups: dict[tuple[object, ...], list[Cause]] = {}
    homes: dict[tuple[str, str, Location], tuple[object, ...]] = {}
    for cause in sorted(causes, key=lambda cause: -cause.rule.severity):  # stable: the order of the groups remains
        home = (cause.rule.code, *cause.key)
        if cause.origin is not None:
            home = homes.setdefault(cause.origin, home)
        groups.setdefault(home, []).append(cause)
    merged = [_merged(group) for group in groups.values()]
    return tuple(sorted(merged, key=lambda finding: (finding.location, finding.rule, finding.message)))


def _merged(group: Sequence[Cause]) -> Finding:
    """Let one cause speak for all: of the first rule, where the line lies in the subject's own file, not its users'."""
    candidates = [cause for cause in group if cause.rule is group[0].rule]
    first = min(candidates, key=lambda cause: cause.location.path != cause.subject.location.path)
    others = [cause for cause in group if cause is not first]
    related = [
        Related(location=cause.subject.location, message=f"{cause.subject.name} fails for the same reason")
        for cause in others[:_SEVERAL]
    ]
    also = ""
    if others:
        names = ", ".join(cause.subject.name for cause in others[:3]) + (" and more" if len(others) > 3 else "")
        also = f" The same cause fails {len(others)} more: {names}."
    return Finding(
        rule=first.rule.code,
        severity=first.rule.severity,
        message=first.message + also,
        location=first.location,
        symbol=first.subject.name,
        related=tuple(related),
        evidence=first.evidence,
        why=first.rule.why,
        impact=first.impact,
        remediation=first.remediation,
    )


def place(frames: Sequence[Frame], otherwise: Location) -> Location:
    """Return the innermost line of the project."""
    return Location(path=frames[-1].path, line=max(1, frames[-1].line)) if frames else otherwise


def traceback_evidence(failure: Failure) -> Evidence:
    at = f" at {failure.frames[-1].path}:{failure.frames[-1].line}" if failure.frames else ""
    return Evidence(
        kind="traceback",
        summary=f"{failure.type} was raised{at}",
        data={"traceback": failure.text, "type": failure.type},
    )


def origin_of(failure: Failure) -> tuple[str, str, Location] | None:
    """Return what tells an exception from others; None where it was raised outside the project.

    A module that is nowhere is one cause, however many files ask for it.
    """
    if not failure.frames:
        return None
    if failure.type == "ModuleNotFoundError":
        return failure.type, failure.message, Location(path="")
    return failure.type, failure.message, place(failure.frames, Location(path=""))


def first_line(text: str, limit: int = 200) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def raised_text(failure: Failure) -> str:
    message = first_line(failure.message)
    return f"{failure.type}: {message}" if message else failure.type
