"""`# verify: allow[CODE] reason`: what each such comment silences, until when, and which are findings themselves."""

from __future__ import annotations

import datetime
import io
import re
import tokenize
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verifier.model.finding import Evidence, Finding, Location, Severity
from verifier.nearest import suggestion
from verifier.own_rules import BAD_SUPPRESSION, EXPIRED_SUPPRESSION, UNUSED_SUPPRESSION

if TYPE_CHECKING:
    from verifier.sources import SourceFile, SourceTree

_UNTIL = re.compile(r"until\s+(?P<date>\d{4}-\d{2}-\d{2})\b[\s:,;]*", re.IGNORECASE)
_COMMENT = re.compile(r"#\s*verify:\s*allow\b\s*(?:\[(?P<codes>[^\]]*)\])?\s*(?P<reason>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """One suppression comment. It covers its own line or, alone on its line, the next line of code.

    Args:
        until: the last day on which it counts.
    """

    path: str
    line: int
    covers: int
    codes: tuple[str, ...]
    reason: str
    problem: str = ""
    until: datetime.date | None = None

    @property
    def expired(self) -> bool:
        return self.until is not None and _today() > self.until

    @property
    def counts(self) -> bool:
        return not self.problem and not self.expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Findings of one stage after suppression: what remains, and (finding, comment) for what was silenced."""

    kept: tuple[Finding, ...]
    silenced: tuple[tuple[Finding, Allow], ...]


def read_allows(sources: SourceTree, rule_names: Mapping[str, str]) -> tuple[Allow, ...]:
    """Return every suppression comment of the tree.

    Args:
        rule_names: code -> name of every known rule; a comment may use either.
    """
    allows = []
    for file in sources.python():
        if file.is_marked:
            allows += _allows_in(file, rule_names)
    return tuple(allows)


def _allows_in(file: SourceFile, rule_names: Mapping[str, str]) -> list[Allow]:
    return [allow for part in file.parts() for allow in _allows_of(part, file, rule_names)]


def _allows_of(data: bytes, file: SourceFile, rule_names: Mapping[str, str]) -> list[Allow]:
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(data).readline))
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        return []  # it does not parse, which is a finding of its own
    allows = []
    for index, token in enumerate(tokens):
        if token.type == tokenize.COMMENT and (match := _COMMENT.match(token.string)):
            covers = token.start[0]
            if not token.line[: token.start[1]].strip():
                covers = _next_code_line(tokens[index + 1 :], covers)
            allows.append(_allow(file.path, token.start[0], covers, match, rule_names))
    return allows


def _next_code_line(tokens: Sequence[tokenize.TokenInfo], default: int) -> int:
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    return next((token.start[0] for token in tokens if token.type not in quiet), default)


def _allow(path: str, line: int, covers: int, match: re.Match[str], rule_names: Mapping[str, str]) -> Allow:
    by_name = {name: code for code, name in rule_names.items()}
    written = [part.strip() for part in (match["codes"] or "").split(",") if part.strip()]
    unknown = [part for part in written if part not in rule_names and part not in by_name]
    until, reason, problem = _dated(match["reason"].strip())
    if problem:
        pass
    elif not written:
        problem = "names no rule; write `# verify: allow[CODE] reason`"
    elif unknown:
        near = suggestion(unknown[0], [*rule_names, *by_name])
        problem = f"names `{unknown[0]}`, which is no rule of this version{near}"
    elif not reason:
        problem = "gives no reason; say after the bracket why the finding may stay"
    codes = tuple(by_name.get(part, part) for part in written)
    return Allow(path=path, line=line, covers=covers, codes=codes, reason=reason, problem=problem, until=until)


def _dated(text: str) -> tuple[datetime.date | None, str, str]:
    """Split `until 2027-01-31 reason` into date, reason and problem. A reason that only begins with "until" is one."""
    match = _UNTIL.match(text)
    if match is None:
        return None, text, ""
    reason = text[match.end() :].strip()
    try:
        return datetime.date.fromisoformat(match["date"]), reason, ""
    except ValueError:
        return None, reason, f"ends on {match['date']}, which is no day of the calendar"


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()  # the same for everybody who looks at the same time


def sort_findings(findings: Sequence[Finding], allows: Sequence[Allow]) -> Sorted:
    """Split findings into those that remain and those that a valid comment silences.

    A comment counts for a finding where it covers the finding's line or, for a finding whose statement spans
    several lines, any of them. Only the place where a finding is reported counts, not its related places.
    """
    by_place = {(allow.path, allow.covers, code): allow for allow in allows if allow.counts for code in allow.codes}
    kept, silenced = [], []
    for finding in findings:
        place = finding.location
        lines = range(place.line, (place.end_line or place.line) + 1)
        allow = next((by_place[key] for line in lines if (key := (place.path, line, finding.rule)) in by_place), None)
        if allow is None:
            kept.append(finding)
        else:
            silenced.append((finding, allow))
    return Sorted(kept=tuple(kept), silenced=tuple(silenced))


def bad_suppressions(allows: Sequence[Allow]) -> tuple[Finding, ...]:
    """Return a finding for every comment that cannot count, or counts no more."""
    bad = tuple(
        _finding(BAD_SUPPRESSION.code, BAD_SUPPRESSION.severity, allow, f"This suppression {allow.problem}.")
        for allow in allows
        if allow.problem
    )
    expired = tuple(
        _finding(
            EXPIRED_SUPPRESSION.code,
            EXPIRED_SUPPRESSION.severity,
            allow,
            f"This suppression of {', '.join(allow.codes)} ended on {allow.until}: it silences nothing any more.",
            "Repair what it excused, or decide anew: set a later date, or none.",
        )
        for allow in allows
        if allow.expired and not allow.problem
    )
    return (*bad, *expired)


def unused_suppressions(
    allows: Sequence[Allow], used: Collection[tuple[Allow, str]], codes: Collection[str]
) -> tuple[Finding, ...]:
    """Return a finding for every code of a valid comment that silenced nothing.

    Args:
        used: the (comment, code) pairs that silenced a finding.
        codes: those of the stage that just finished; codes of stages that did not run are not judged.
    """
    return tuple(
        _finding(
            UNUSED_SUPPRESSION.code,
            UNUSED_SUPPRESSION.severity,
            allow,
            f"This suppression of {code} silences nothing: {code} is not reported here.",
        )
        for allow in allows
        if allow.counts
        for code in allow.codes
        if code in codes and (allow, code) not in used
    )


def _finding(
    rule: str, severity: Severity, allow: Allow, message: str, remediation: str = "Correct the comment, or remove it."
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        message=message,
        location=Location(path=allow.path, line=allow.line),
        symbol=",".join(allow.codes) or None,
        evidence=(Evidence(kind="source", summary=f"comment on line {allow.line} of {allow.path}"),),
        remediation=remediation,
    )
