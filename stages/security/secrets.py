"""Decides what is said of secrets in files: one finding for each secret, wherever and however often it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from stages.security.credentials import is_filler, looks_live, shaped_secrets
from stages.security.texts import raw
from verifier.api import Evidence, Finding, Location, Related, Severity, masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stages.security.scanner.answers import Hit
    from verifier.api import RuleInfo, SourceFile

_PLACES = 20
# names a thing more often than it opens one
_UUID = late(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GUESSED = "generic"  # rules that go by the word before a text: a vocabulary has "password": 8866
_CONFIDENCE = {"high": Severity.CRITICAL, "medium": Severity.MEDIUM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One place at which a secret stands. `text` must never be shown."""

    text: str
    path: str
    line: int
    column: int
    what: str
    severity: Severity
    by: str


def shaped(files: Iterable[SourceFile]) -> Iterator[Secret]:
    """Yield what has a form that only credentials have."""
    for file in files:
        data = raw(file)
        for shape, start, text in shaped_secrets(data):
            yield Secret(
                text=text.decode("utf-8", "replace"),
                path=file.path,
                line=data.count(b"\n", 0, start) + 1,
                column=start - data.rfind(b"\n", 0, start),
                what=shape.name,
                severity=_in_place(file.path, Severity.CRITICAL),
                by="its form",
            )


def scanned(hits: Sequence[Hit], version: str) -> Iterator[Secret]:
    """Yield what a scanner found; what it is not sure of only where it looks like a key that a machine made."""
    for hit in hits:
        severity = _CONFIDENCE.get(hit.confidence, Severity.LOW)
        if severity is Severity.LOW and (not looks_live(hit.secret) or _UUID.fullmatch(hit.secret)):
            continue
        if hit.rule.startswith(_GUESSED) and is_filler(hit.secret):
            continue
        yield Secret(
            text=hit.secret,
            path=hit.path,
            line=hit.line,
            column=hit.column,
            what=hit.rule,
            severity=_in_place(hit.path, severity),
            by=f"betterleaks {version} ({hit.rule}, confidence {hit.confidence or 'unknown'})",
        )


def _in_place(path: str, severity: Severity) -> Severity:
    """Return the severity at a place: tests hold made-up credentials, which may look like real ones."""
    if not is_test_file(path):
        return severity
    return min(severity, Severity.MEDIUM) if severity > Severity.LOW else Severity.INFO


def secret_findings(secrets: Iterable[Secret], told: Iterable[str], rule: RuleInfo) -> Iterator[Finding]:
    """Yield one finding for each secret, at its gravest and then first place.

    Args:
        told: secrets that another rule has reported already.
    """
    known = set(told)
    groups: dict[str, list[Secret]] = {}
    for item in secrets:
        if not any(item.text in text or text in item.text for text in known):
            groups.setdefault(item.text, []).append(item)
    for text, group in groups.items():
        if any(text != other and text in other for other in groups):
            continue  # a part of another one
        group.sort(key=lambda item: (-item.severity, item.path, item.line))
        yield _finding(group, rule)


def _finding(group: Sequence[Secret], rule: RuleInfo) -> Finding:
    first = group[0]
    places = list(dict.fromkeys((item.path, item.line) for item in group))[1:]
    elsewhere = f"; it stands at {len(places) + 1} places" if places else ""
    seen = ", ".join(dict.fromkeys(item.by for item in group))
    return Finding(
        rule=rule.code,
        severity=first.severity,
        message=f"this looks like a live credential ({first.what}): {masked(first.text)}{elsewhere}",
        location=Location(path=first.path, line=first.line, column=first.column),
        symbol=first.what,
        related=tuple(
            Related(location=Location(path=path, line=line), message="here too") for path, line in places[:_PLACES]
        ),
        evidence=(Evidence(kind="source", summary=f"known by {seen}"),),
        impact="Whoever has read the repository, or ever will read its history, can use it.",
        remediation="Revoke it first, since the history keeps it; then read it from the environment or a secret store.",
    )
