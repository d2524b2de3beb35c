"""Decides which of ruff's security rules count, how severe each is, and what becomes of its word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.ruff.binary import REMEDY, find_ruff
from stages._source.ruff.process import RuffError
from stages._source.ruff.reading import read_files, target_of
from stages._source.wanted import Wanted
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import RuleInfo, StageContext

# Left out: what rules of ours say better (S102, S103, S108, S301, S306, S307, S310, S323, S501, S506, S602 to S607,
# S614, S615), what fires on sound code (S101, S104 to S107, S110, S112, S113, S311, S324, S608, S609), XML (S313 to
# S319), imports as such (S4xx), web frameworks.
SEVERITIES: Mapping[str, Severity] = {
    "S201": Severity.MEDIUM,  # flask with its debugger, which runs code for whoever opens the page
    "S202": Severity.LOW,  # an archive that is unpacked wherever its names lead
    "S302": Severity.LOW,  # marshal
    "S304": Severity.LOW,  # ciphers that are broken
    "S305": Severity.LOW,  # ECB
    "S312": Severity.LOW,  # telnet
    "S321": Severity.LOW,  # ftp
    "S502": Severity.MEDIUM,  # versions of SSL that are broken
    "S503": Severity.MEDIUM,
    "S505": Severity.LOW,  # keys that are too short
    "S507": Severity.MEDIUM,  # ssh to whatever answers
    "S612": Severity.MEDIUM,  # logging configuration over a socket, which is evaluated
}
# without any of this, none of these rules has anything to say
LINTED = Wanted(
    torch=False,
    some=(
        *(b"extractall", b"marshal", b"telnet", b"ftplib", b"flask", b"ssl", b"SSL", b"paramiko", b"Crypt"),
        *(b"crypto", b"logging.config"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegated:
    """What ruff said. `reason` says why not every file was read; "" where it was."""

    tool: str = ""
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    files: int = 0


def delegate(context: StageContext, paths: Sequence[str], rule: RuleInfo) -> Delegated:
    """Have ruff read the files, if there are any."""
    if not paths:
        return Delegated(tool="ruff")
    ruff = find_ruff(context.root)
    if ruff is None:
        return Delegated(reason=f"ruff is not installed; {REMEDY}")
    try:
        read = read_files(ruff, context, paths, target=target_of(context.root), select=tuple(SEVERITIES))
    except RuffError as error:
        return Delegated(reason=f"ruff {ruff.version} does not take our options: {error}")
    groups: dict[tuple[str, str], list[Diagnostic]] = {}
    for hit in sorted(read.found):
        if hit.code in SEVERITIES:
            groups.setdefault((hit.path, hit.code), []).append(hit)
    unread = sorted(read.unread.items())
    return Delegated(
        tool=f"ruff {ruff.version}",
        findings=tuple(_finding(group, rule) for group in groups.values()),
        reason=f"{unread[0][0]}: {unread[0][1]}" if unread else "",
        files=len(paths) - len(unread),
    )


def _finding(group: Sequence[Diagnostic], rule: RuleInfo) -> Finding:
    first, others = group[0], group[1:]
    return Finding(
        rule=rule.code,
        severity=SEVERITIES[first.code],
        message=f"{first.code} {first.message}" + (f"; at {len(group)} places of this file" if others else ""),
        location=Location(path=first.path, line=first.line, column=first.column),
        symbol=first.code,
        related=tuple(
            Related(location=Location(path=hit.path, line=hit.line, column=hit.column), message=hit.message)
            for hit in others[:20]
        ),
        evidence=(Evidence(kind="command", summary=f"ruff reports {first.code} ({first.name}) at line {first.line}"),),
        remediation=f"`ruff rule {first.code}` says how.",
    )
