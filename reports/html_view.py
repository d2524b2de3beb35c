"""Decides what the HTML report shows of one finding, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.findings import Judged, applied_by, behind, context, long_texts, place, quotes_the_code, seen_at_run_time
from reports.html_text import listing, tail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verifier.api import Evidence, Related

_RELATED = 12
_EVIDENCE = 6
_DIFF = {"+": "added", "-": "removed", "@": "hunk"}


@dataclass(frozen=True, slots=True)
class HtmlFinding:
    """A finding, ready for the template; `code`, `diff` and `outputs` are HTML, everything else is plain text."""

    rule: str
    name: str
    severity: str
    blocking: bool
    message: str
    place: str
    seen: str
    code: Markup
    related: tuple[Related, ...]
    more_related: int
    why: str
    impact: str
    remediation: str
    fix: str
    command: str
    diff: Markup
    evidence: tuple[str, ...]
    outputs: tuple[Markup, ...]


def finding_view(item: Judged, snippets: Mapping[tuple[str, int], str]) -> HtmlFinding:
    finding = item.reported.finding
    evidence = [one for one in finding.evidence if not quotes_the_code(one, finding.location, snippets)][:_EVIDENCE]
    return HtmlFinding(
        rule=finding.rule,
        name=item.reported.name,
        severity=finding.severity.name,
        blocking=item.reported.blocking,
        message=finding.message,
        place=place(finding.location),
        seen=seen_at_run_time(finding.evidence),
        code=_code(item, snippets),
        related=finding.related[:_RELATED],
        more_related=max(0, len(finding.related) - _RELATED),
        why=finding.why,
        impact=finding.impact,
        remediation=finding.remediation,
        fix=finding.fix or "",
        command=applied_by(item.reported) if finding.fix else "",
        diff=_diff(item.reported.diff),
        evidence=tuple(_seen(one) for one in evidence),
        outputs=tuple(tail(text) for one in evidence for text in long_texts(one)),
    )


def _seen(evidence: Evidence) -> str:
    values = behind(evidence)
    return f"{evidence.kind.capitalize()}: {evidence.summary}{f' ({values})' if values else ''}"


def _code(item: Judged, snippets: Mapping[tuple[str, int], str]) -> Markup:
    """Return the source lines around a place; its own lines are marked by a sign and a class."""
    lines = context(item.reported.finding.location, snippets)
    if not lines:
        return Markup("")
    width = len(str(lines[-1][0]))
    return listing(
        (
            ("here" if here else "", f"{'>' if here else ' '} {number:>{width}}  {source}")
            for number, source, here in lines
        ),
        f"lines {lines[0][0]} to {lines[-1][0]}",
    )


def _diff(diff: str) -> Markup:
    if not diff:
        return Markup("")
    rows = ((_kind(line), line) for line in diff.rstrip("\n").split("\n"))
    return listing(rows, "what the fix changes")


def _kind(line: str) -> str:
    return "hunk" if line.startswith(("--- ", "+++ ")) else _DIFF.get(line[:1], "")
