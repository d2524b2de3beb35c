"""Decides what is said of the files that CPython refuses: that they are broken, or written for a newer Python."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stages._source.notebooks import cells_of
from stages._source.patterns import late
from stages._source.pythons import supported_pythons
from stages._source.records import CompileProblem
from stages._source.ruff.binary import find_ruff
from stages._source.ruff.process import RuffError, read_all
from stages._source.ruff.reading import target_version
from stages._source.workers import Died, map_forked
from stages.syntax.further import further_problems
from stages.syntax.scan import problem_finding
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages._source.notebooks import RefusedCell
    from stages._source.pythons import Supported
    from stages._source.records import FileScan
    from stages._source.ruff.diagnostics import Diagnostic
    from verifier.api import SourceFile, StageContext

# what else CPython refuses to compile, as ruff's rules; what its parser itself refuses comes without being selected
_SELECT = ("E9", "F404", "F621", "F622", "F701", "F702", "F704", "F706", "F707", "PLE0115", "PLE0117", "PLE0118")
_UNREAD = "E902"
_NEWER = late(r"(?P<what>.*?),? on Python 3\.\d+ \(syntax was added in Python 3\.(?P<minor>\d+)\)\Z")
_NAMES = (
    ("`type` alias", "a `type` statement"),
    ("default type", "a type parameter with a default"),
    ("type parameter", "type parameters in brackets"),
    ("exception types", "`except` with several types and no parentheses"),
    ("t-string", "a template string"),
    ("f-string", "an f-string that nests quotes, backslashes or comments"),
)
_LINE_BREAK = "an f-string with a line break in its braces"
_RUNNING = sys.version_info.minor
_LISTED = 9


@dataclass(frozen=True, slots=True)
class Newer:
    """One place of syntax that the running Python does not have yet."""

    line: int
    column: int
    minor: int
    what: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The findings about refused files, by path, and the Python that each file needs which is none of ours to judge.

    Args:
        cells: those that CPython refuses of notebooks that were read without them; `cell_findings` is of these.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    needs: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, Sequence[RefusedCell]] = field(default_factory=dict)
    cell_findings: tuple[Finding, ...] = ()


def judge_refused(context: StageContext, files: Sequence[SourceFile], scans: Mapping[str, FileScan]) -> Refused:
    """Return one finding for each file that CPython refuses. Without ruff, it is what CPython says and no more."""
    refused = [(file, problem) for file in files if (problem := scans[file.path].problem) is not None]
    seen = ask_ruff(
        context, [file.path for file, problem in refused if problem.kind == "syntax" and not cells_of(file)]
    )
    findings: dict[str, Finding] = {}
    needs: dict[str, int] = {}
    work: list[tuple[SourceFile, CompileProblem, list[Diagnostic]]] = []
    for file, problem in refused:
        diagnostics = seen.get(file.path)
        if diagnostics is None:
            findings[file.path] = problem_finding(file.path, problem)
            continue
        newer, broken = sorted_out(diagnostics, problem)
        supported = supported_pythons(context.root, file.path) if newer else None
        needed = max((place.minor for place in newer), default=0)
        if supported and needed <= supported.oldest:
            if broken:
                findings[file.path] = _broken_besides(file.path, broken[0], needed, supported)
            else:
                needs[file.path] = needed
                findings[file.path] = _newer_finding(file.path, problem, newer, supported)
            continue
        findings[file.path] = problem_finding(file.path, problem, hint=_hint(problem, newer, supported))
        work.append((file, problem, diagnostics))
    for path, further in _further(context, work).items():
        findings[path] = _with_further(findings[path], further)
    return Refused(findings, needs)


def ask_ruff(context: StageContext, paths: list[str]) -> dict[str, list[Diagnostic]]:
    """Return what ruff says of each file that it could read."""
    ruff = find_ruff(context.root) if paths else None
    if ruff is None:
        return {}
    context.progress(f"ruff reads {len(paths)} files that do not compile")
    try:
        read = read_all(
            ruff, context.root, paths, target=target_version(_RUNNING), threads=context.options.jobs, select=_SELECT
        )
    except RuffError:
        return {}
    unread = read.unread.keys() | {item.path for item in read.found if item.code == _UNREAD}
    seen: dict[str, list[Diagnostic]] = {path: [] for path in paths if path not in unread}
    for item in sorted(read.found):
        if item.path in seen:
            seen[item.path].append(item)
    return seen


def sorted_out(diagnostics: Sequence[Diagnostic], problem: CompileProblem) -> tuple[list[Newer], list[Diagnostic]]:
    """Return the places of newer syntax and the errors in any Python.

    Newer syntax explains a refusal only from its own line on: what CPython refuses above it is an error.
    """
    newer, broken = [], []
    for item in diagnostics:
        read = _NEWER.match(item.message)
        if read is None:
            broken.append(item)
        elif int(read["minor"]) > _RUNNING:
            newer.append(Newer(item.line, item.column, int(read["minor"]), _name(read["what"])))
    if not diagnostics and problem.message.startswith("unterminated string literal"):
        # a parser that reads every string to its end where ours does not: only f-strings changed so (PEP 701)
        newer.append(Newer(problem.line, problem.column, 12, _LINE_BREAK))
    if newer and newer[0].line > (problem.end_line or problem.line):
        return [], broken
    return newer, broken


def _name(what: str) -> str:
    return next((name for part, name in _NAMES if part in what), what)


def _hint(problem: CompileProblem, newer: Sequence[Newer], supported: Supported | None) -> str:
    """Return what to add where the refusal itself is one of newer syntax, and the project is not written for that."""
    if not newer:
        return ""
    first = max(newer, key=lambda place: place.minor)
    where = "" if first.line == problem.line else f" on line {first.line}"
    needed = f"Python 3.{first.minor} has this syntax ({first.what}{where})"
    if supported is None:
        return f"{needed}, and the project does not say that it needs one so new (requires-python)"
    return f"{needed}, but {supported.said} admits Python 3.{supported.oldest}"


def _broken_besides(path: str, error: Diagnostic, needed: int, supported: Supported) -> Finding:
    """Return the finding for an error in any Python, in a file that may use syntax newer than the running one has."""
    hint = f"the file is for Python 3.{needed} ({supported.said}), and ruff read it in place of Python 3.{_RUNNING}"
    return replace(
        problem_finding(path, CompileProblem("syntax", _lowered(error.message), error.line, error.column), hint=hint),
        evidence=(Evidence(kind="command", summary=f"ruff refuses {path} at line {error.line}: {error.message}"),),
    )


def _newer_finding(path: str, problem: CompileProblem, newer: Sequence[Newer], supported: Supported) -> Finding:
    minor = max(place.minor for place in newer)
    first = next(place for place in newer if place.minor == minor)
    lines = {place.line: place for place in reversed(newer) if place.line != first.line}
    counts = Counter(place.what for place in newer)
    return Finding(
        rule="SYN005",
        severity=Severity.INFO,
        message=(
            f"Python 3.{minor} is needed for {first.what}; the running Python 3.{_RUNNING} cannot read this file, so"
            " nothing in it was checked"
        ),
        location=Location(path=path, line=first.line, column=first.column),
        related=tuple(
            Related(
                location=Location(path=path, line=line, column=place.column),
                message=f"{place.what} (Python 3.{place.minor})",
            )
            for line, place in sorted(lines.items())[:_LISTED]
        ),
        evidence=(
            Evidence(
                kind="command",
                summary=f"ruff finds no error but {', '.join(counts)}; {supported.said} rules out Python 3.{_RUNNING}",
                data={"python": f"3.{minor}", "oldest_supported": f"3.{supported.oldest}", "refusal": problem.message},
            ),
        ),
        remediation=f"Run verify under Python 3.{minor} or newer.",
    )


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _further(
    context: StageContext, work: Sequence[tuple[SourceFile, CompileProblem, list[Diagnostic]]]
) -> dict[str, list[CompileProblem]]:
    """Return the further errors by path. They are looked for in workers: CPython reads the file again for each."""
    several = [item for item in work if len({hit.line for hit in item[2]} - {item[1].line}) > 0]

    def look(index: int) -> list[CompileProblem]:
        file, problem, diagnostics = several[index]
        seen = {
            hit.line: CompileProblem("syntax", _lowered(hit.message), hit.line, hit.column)
            for hit in reversed(diagnostics)
        }
        return further_problems(file.data or b"", file.path, problem, seen)

    answers = map_forked(look, len(several), context.options.jobs, context.progress)
    return {several[index][0].path: found for index, found in answers if not isinstance(found, Died) and found}


def _with_further(finding: Finding, further: Sequence[CompileProblem]) -> Finding:
    path = finding.location.path
    count = f"{len(further)} further syntax error{'' if len(further) == 1 else 's'}"
    return replace(
        finding,
        message=f"{finding.message}; {count} in this file",
        related=tuple(
            Related(
                location=Location(path=path, line=item.line, column=item.column, end_line=item.end_line),
                message=f"a further syntax error: {item.message}",
            )
            for item in further
        ),
    )
