"""Decides how a finding is ranked and what is shown of it: place, source lines, evidence."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.escape import BLOCK_LIMIT, code, fence, paragraphs, prose
from reports.figures import figure, listed
from verifier.api import visible

if TYPE_CHECKING:
    from verifier.api import Evidence, Json, Location, Related, Reported, StageResult

_CONTEXT = 2
_RELATED_LIMIT = 12
_EVIDENCE_LIMIT = 6
_LONG = 60
_HEADLINE = 180
_WHOLE = 1e9  # below, a float without a fraction, such as a loss scale, is written in full
_TOUCHED = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)  # in a unified diff
_OF_THE_RUN = frozenset({"run", "runs", "step", "last_step", "count", "verdict", "planted"})
_SEEN = {
    "confirmed": "confirmed at run time",
    "refuted": "executed at run time, and did not happen there",
    "not reached": "not reached at run time",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding and the stage it came from."""

    stage: str
    number: int
    reported: Reported


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding, ready for display."""

    code: str
    name: str
    severity: str
    headline: str
    message: str  # in full, where the headline had to be cut
    place: str
    seen: str  # what a run showed of it
    baselined: bool
    context: Markup
    related: tuple[Markup, ...]
    more_related: int
    why: Markup
    impact: Markup
    remediation: Markup
    fix: str
    command: str  # that applies it
    diff: Markup
    evidence: tuple[Markup, ...]
    blocks: tuple[Markup, ...]


def ranked(stages: Iterable[StageResult]) -> list[Judged]:
    """Return every finding, worst first, then by stage and place."""
    judged = [Judged(stage.name, stage.number, item) for stage in stages for item in stage.findings]
    return sorted(judged, key=_rank)


def counted(judged: Iterable[Judged]) -> str:
    """Return counts by severity, worst first: `1 CRITICAL, 2 HIGH`."""
    counts = Counter(item.reported.finding.severity for item in judged)
    return ", ".join(f"{counts[severity]:,} {severity.name}" for severity in sorted(counts, reverse=True))


def place(location: Location) -> str:
    return f"{location.path}:{location.line}"


def view(item: Judged, snippets: Mapping[tuple[str, int], str]) -> FindingView:
    finding = item.reported.finding
    headline = _headline(finding.message)
    evidence = [one for one in finding.evidence if not quotes_the_code(one, finding.location, snippets)]
    return FindingView(
        code=finding.rule,
        name=item.reported.name,
        severity=finding.severity.name,
        headline=headline,
        message="" if headline == finding.message else finding.message,
        place=place(finding.location),
        seen=seen_at_run_time(finding.evidence),
        baselined=item.reported.baselined,
        context=code_context(finding.location, snippets),
        related=tuple(_related(one, snippets) for one in finding.related[:_RELATED_LIMIT]),
        more_related=max(0, len(finding.related) - _RELATED_LIMIT),
        why=paragraphs(finding.why),
        impact=paragraphs(finding.impact),
        remediation=paragraphs(finding.remediation),
        fix=finding.fix or "",
        command=applied_by(item.reported),
        diff=fence(item.reported.diff, "diff") if item.reported.diff else Markup(""),
        evidence=tuple(_evidence(one) for one in evidence[:_EVIDENCE_LIMIT]),
        blocks=tuple(block for one in evidence[:_EVIDENCE_LIMIT] for block in _texts(one)),
    )


def applied_by(item: Reported) -> str:
    """Return the command that applies the fix of a finding: it names every file that the fix touches."""
    paths = sorted({item.finding.location.path, *_TOUCHED.findall(item.diff)})
    return shlex.join(["verify", "fix", *(["--unsafe"] if item.finding.fix == "unsafe" else []), *paths])


def seen_at_run_time(evidence: Iterable[Evidence]) -> str:
    """Say what a run showed of a finding that was made by reading; empty where none says anything."""
    verdicts = [str(one.data.get("verdict")) for one in evidence if one.kind == "run"]
    return next((words for verdict, words in _SEEN.items() if verdict in verdicts), "")


def context(location: Location, snippets: Mapping[tuple[str, int], str]) -> list[tuple[int, str, bool]]:
    """Return number and text of the lines around a place, and whether each is its own; nothing where it is unknown."""
    last = max(location.line, location.end_line or location.line)
    known = [
        (line, snippets[location.path, line], location.line <= line <= last)
        for line in range(location.line - _CONTEXT, min(last, location.line + BLOCK_LIMIT) + _CONTEXT + 1)
        if (location.path, line) in snippets
    ]
    return known if any(line == location.line for line, _, _ in known) else []


def code_context(location: Location, snippets: Mapping[tuple[str, int], str]) -> Markup:
    """Return the source lines around a place, its own lines marked and its column pointed at."""
    known = context(location, snippets)
    if not known:
        return Markup("")
    single = sum(here for _, _, here in known) == 1 and not (location.end_line or 0) > location.line
    width = len(str(known[-1][0]))
    lines = []
    for number, source, here in known:
        lines.append(f"{'>' if here else ' '} {number:>{width}} | {_shown(source).rstrip()}".rstrip())
        if number == location.line and single and 1 < location.column <= len(source):
            lines.append(f"  {' ' * width} | {' ' * len(_shown(source[: location.column - 1]))}^")
    language = "python" if location.path.endswith((".py", ".pyi", ".pyw", ".ipynb")) else "text"
    return fence("\n".join(lines), language)


def _headline(message: str) -> str:
    """Return the message, cut between words where it is too long for a heading."""
    if len(message) <= _HEADLINE:
        return message
    return f"{message[:_HEADLINE].rsplit(' ', 1)[0]} …"


def quotes_the_code(evidence: Evidence, where: Location, snippets: Mapping[tuple[str, int], str]) -> bool:
    """Say whether evidence only repeats the source line that is shown as code context."""
    source = snippets.get((where.path, where.line), "").strip()
    return evidence.kind == "source" and bool(source) and source in evidence.summary


def _rank(item: Judged) -> tuple[int, int, str, int, int, str, str]:
    finding, where = item.reported.finding, item.reported.finding.location
    return (-finding.severity, item.number, where.path, where.line, where.column, finding.rule, finding.message)


def _shown(source: str) -> str:
    return visible(source.rstrip("\r\n").expandtabs(4))


def _related(related: Related, snippets: Mapping[tuple[str, int], str]) -> Markup:
    where = code(place(related.location))
    source = snippets.get((related.location.path, related.location.line), "").strip()
    quoted = f": {code(source, limit=120)}" if source else ""
    return Markup(f"{where} {prose(related.message)}{quoted}")


def _evidence(evidence: Evidence) -> Markup:
    """Return kind, summary and the plain values behind it; source lines are shown as code context already."""
    values = behind(evidence)
    return Markup(f"{evidence.kind.capitalize()}: {prose(evidence.summary)}{f' ({prose(values)})' if values else ''}")


def behind(evidence: Evidence) -> str:
    """Return the plain values behind what was seen, in one line, not yet escaped."""
    values = {} if evidence.kind == "source" else evidence.data
    if evidence.kind == "run":  # the summary says which run, and when
        values = {name: value for name, value in values.items() if name not in _OF_THE_RUN}
    return "; ".join(f"{key}: {written}" for key, value in values.items() if (written := _value(value)))


def _value(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, int) or _is_whole(value) else figure(value)
    if isinstance(value, str):
        return value if value.strip() and "\n" not in value.strip() and len(value) <= _LONG else ""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return listed(str(item) for item in value)
    return ""


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) < _WHOLE


def _texts(evidence: Evidence) -> list[Markup]:
    return [fence(value, tail=True) for value in long_texts(evidence)]


def long_texts(evidence: Evidence) -> list[str]:
    """Return texts of several lines in the evidence (a traceback, an output); source lines are shown already."""
    if evidence.kind == "source":
        return []
    return [value for value in evidence.data.values() if isinstance(value, str) and "\n" in value.strip()]
