"""Decides how lint errors become findings: one for each of ruff's rules and file, in a large tree one for each rule."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.syntax.lint.unused import UNUSED, own_modules, removal
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import SourceTree

PLACES = 20  # listed in one finding besides its own
_ALLOW = late(r"#\s*verify:\s*allow\b")


def findings(errors: Iterable[Diagnostic], files: SourceTree, *, by_file: bool) -> list[Finding]:
    """Return LNT001 findings. An error under an `allow` comment stands alone, so that the comment silences just it."""
    lines: dict[str, list[str]] = {}
    groups: dict[tuple[str, ...], list[Diagnostic]] = {}
    errors = sorted(errors)
    for error in errors:
        if error.path not in lines:
            file = files.get(error.path)
            lines[error.path] = file.text_lines if file is not None else []
        own = (error.path, str(error.line), str(error.column)) if _allowed(lines[error.path], error.line) else ()
        shared = (error.path,) if by_file else ()
        groups.setdefault((error.code, *(own or shared)), []).append(error)
    project = own_modules(files) if any(error.code == UNUSED for error in errors) else frozenset()
    return [_finding(group, project) for group in groups.values()]


def _allowed(lines: Sequence[str], line: int) -> bool:
    """Say whether an `allow` comment stands on the line or in the comments right above it."""
    index = line - 1
    if index < len(lines) and _ALLOW.search(lines[index]):
        return True
    while index > 0 and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        if _ALLOW.search(lines[index]):
            return True
    return False


def _finding(group: Sequence[Diagnostic], own: frozenset[str]) -> Finding:
    first, others = group[0], group[1:]
    paths = Counter(error.path for error in group)
    where = f"{len(group)} places" + (f" of {len(paths)} files" if len(paths) > 1 else "")
    message = f"{first.code} {first.message}" + (f"; in {where} in all" if others else "")
    summary = f"ruff reports {first.code} ({first.name}) at {where if others else f'line {first.line}'}"
    return Finding(
        rule="LNT001",
        severity=Severity.INFO,
        message=message,
        location=Location(path=first.path, line=first.line, column=first.column),
        symbol=first.code,
        related=tuple(
            Related(location=Location(path=error.path, line=error.line, column=error.column), message=error.message)
            for error in others[:PLACES]
        ),
        evidence=(Evidence(kind="command", summary=summary, data={"code": first.code, "places": len(group)}),),
        remediation=f"{first.repair.rstrip('.')}."
        if first.repair and not others
        else f"`ruff rule {first.code}` says how.",
        fix=removal(group, own, PLACES + 1),
    )
