"""What stage 1 requires, and what was looked at for each requirement. Findings settle the gates in the core."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from stages.syntax.lint.selection import MOST_ERRORS
from verifier.api import Gate, GateStatus, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages._source.records import FileScan
    from stages.syntax.configuration import Configured
    from stages.syntax.imports.judge import ImportsOutcome
    from stages.syntax.lint import Linted
    from stages.syntax.refused import Refused
    from verifier.api import SourceFile

GATES = {
    "compilation": "every file parses and compiles",
    "scope": "every name is in scope",
    "imports": "every import of project code resolves",
    "dependencies": "every other import is installed or declared",
    "cycles": "no import cycle fails",
    "lint": "fewer than 5 lint errors",
    "configuration": "every configuration file parses, and pyproject.toml is valid",
}

_NAMED = 3  # files that a gate's evidence spells out


def syntax_gates(
    files: Sequence[SourceFile], scans: Mapping[str, FileScan], judged: ImportsOutcome, refused: Refused
) -> tuple[Gate, ...]:
    """Return the gates of the stage; where a declared dependency is not installed, its gate is deferred.

    The gate of files that only a newer Python than the running one can read is deferred too: no one has compiled them.
    """
    needs = refused.needs
    compiled = sum(scans[file.path].problem is None for file in files)
    whole = compiled - len(refused.cells)
    external = judged.counts.get("third-party", 0) + judged.counts.get("standard library", 0)
    absent = sorted(
        finding.symbol or ""
        for finding in judged.findings
        if finding.rule == "IMP002" and finding.severity is Severity.INFO and "declared, but" in finding.message
    )
    project = _count(judged.counts.get("project", 0), "import")
    others = f"{_count(external, 'other import')} looked up"
    return (
        _gate(
            "compilation",
            f"{whole} of {_count(len(files), 'file')} compile{_too_new(needs)}",
            "SYN001",
            "SYN002",
            "SYN005",
            status=GateStatus.DEFERRED if needs else GateStatus.PASS,
        ),
        _gate("scope", f"names of {_count(compiled, 'file')} looked up", "SCP"),
        _gate(
            "imports",
            f"{project} of project modules looked up",
            "IMP001",
            "IMP006",
        ),
        _gate(
            "dependencies",
            f"declared but not installed here: {', '.join(absent)}" if absent else others,
            "IMP002",
            status=GateStatus.DEFERRED if absent else GateStatus.PASS,
        ),
        _gate("cycles", _count(len(judged.cycles), "import cycle"), "IMP003", "IMP004", "IMP005"),
    )


def _too_new(needs: Mapping[str, int]) -> str:
    if not needs:
        return ""
    named = ", ".join(f"{path} needs Python 3.{minor}" for path, minor in sorted(needs.items())[:_NAMED])
    more = f" and {len(needs) - _NAMED} more" if len(needs) > _NAMED else ""
    return f"; {named}{more}, and this is 3.{sys.version_info.minor}"


def extra_gates(linted: Linted, configured: Configured) -> tuple[Gate, ...]:
    """Return the gates of lint and, where the task has configuration files, of those."""
    gate = _gate("lint", linted.evidence, "LNT001", status=linted.status)
    gates = (replace(gate, at_most=MOST_ERRORS),)
    if not configured.rows:
        return gates
    return (*gates, _gate("configuration", configured.evidence, "SYN003", "SYN004", status=configured.status))


def _gate(name: str, evidence: str, *codes: str, status: GateStatus = GateStatus.PASS) -> Gate:
    return Gate(name=name, requirement=GATES[name], status=status, evidence=evidence, sums_up=codes)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
