"""Decides what stage 1 says of lint: its findings, the word of its gate, and the facts of the run."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.pythons import supported_pythons
from stages.syntax.lint.binary import REMEDY, find_ruff
from stages.syntax.lint.grouping import findings
from stages.syntax.lint.process import Read, RuffError, read_all
from stages.syntax.lint.refine import Refinement, name_in
from stages.syntax.lint.selection import GROUPS, target_version
from verifier.api import GateStatus, compile_glob, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stages._source.records import FileScan
    from stages.syntax.lint.diagnostics import Diagnostic
    from verifier.api import Config, Finding, Json, StageContext

_NAMED = 3  # files and rules that a gate's evidence spells out


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What lint came to. `status` is the gate's own word; the core makes it FAIL where too many errors remain."""

    status: GateStatus
    evidence: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    files: int = 0


def lint(context: StageContext, scans: Mapping[str, FileScan], found: Sequence[Finding], *, by_file: bool) -> Linted:
    """Let ruff read every file that CPython compiles and that is not exempt from lint.

    Args:
        found: what the stage has found so far; a name that it reports is not repeated.
    """
    ruff = find_ruff(context.root)
    if ruff is None:
        return Linted(status=GateStatus.DEFERRED, evidence=f"ruff is not installed; {REMEDY}")
    exempt = _exempt(context.config)
    paths = [path for path, scan in scans.items() if scan.problem is None and not exempt(path)]
    context.progress(f"ruff reads {len(paths)} files")
    supported = supported_pythons(context.root, "pyproject.toml")
    target = target_version(supported.oldest if supported else sys.version_info.minor)
    try:
        read = read_all(ruff, context.root, paths, target=target, threads=context.options.jobs)
    except RuffError as error:
        return Linted(status=GateStatus.DEFERRED, evidence=f"ruff {ruff.version} does not take our options: {error}")
    refinement = Refinement(context.sources, scans, lambda: rest_of_project(context.config, context.sources))
    known = {(item.location.path, item.symbol) for item in found if item.rule.startswith("SCP")}
    errors = sorted(hit for hit in refinement.of(read.found) if (hit.path, name_in(hit)) not in known)
    return Linted(
        status=GateStatus.DEFERRED if read.unread else GateStatus.PASS,
        evidence=_evidence(ruff.version, len(paths) - len(read.unread), errors, read),
        findings=tuple(findings(errors, context.sources, by_file=by_file)),
        facts=_facts(ruff.version, target, paths, errors, read),
        files=len(paths) - len(read.unread),
    )


def _exempt(config: Config) -> Callable[[str], bool]:
    """Return what tells the files for which `per-file-ignores` leaves lint out."""
    patterns = [compile_glob(glob) for glob, codes in config.per_file_ignores.items() if "LNT001".startswith(codes)]
    return lambda path: any(pattern.match(path) for pattern in patterns)


def _evidence(version: str, read_count: int, errors: Sequence[Diagnostic], read: Read) -> str:
    found = f"ruff {version} found {_count(len(errors), 'error')} in {_count(read_count, 'file')}"
    if errors:
        codes = Counter(error.code for error in errors).most_common()
        rest = len(errors) - sum(count for _, count in codes[:_NAMED])
        found += f": {', '.join(f'{count} {code}' for code, count in codes[:_NAMED])}"
        found += f", {rest} others" if rest else ""
    if not read.unread:
        return found
    names = [f"{path} ({reason})" for path, reason in sorted(read.unread.items())]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"not read: {', '.join(names[:_NAMED])}{more}; {found}"


def _facts(
    version: str, target: str, paths: Sequence[str], errors: Sequence[Diagnostic], read: Read
) -> dict[str, Json]:
    rules = Counter((error.code, error.name) for error in errors)
    return {
        "tool": f"ruff {version}",
        "target": target,
        "rules": {group: list(codes) for group, codes in GROUPS.items()},
        "files": len(paths) - len(read.unread),
        "errors": len(errors),
        "by_rule": [
            {
                "code": code,
                "name": name,
                "errors": count,
                "files": len({error.path for error in errors if error.code == code}),
            }
            for (code, name), count in sorted(rules.items())
        ],
        "unread": [{"path": path, "reason": reason} for path, reason in sorted(read.unread.items())],
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
