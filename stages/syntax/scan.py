"""Decides what one fast pass says of each file, and runs that pass over many files at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source import opcodes, parsing
from stages._source.bytecode import read
from stages._source.compiling import collector_paused, compile_source
from stages._source.records import CompileProblem, FileScan
from stages._source.workers import Died, map_forked
from stages.syntax.names import excerpt, imports, screen
from stages.syntax.names.analysis import analyse
from verifier.api import Evidence, Finding, Location, Related, Severity, may_differ_next_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages._source.records import CompileWarning
    from stages.syntax.kept import KeptScans
    from stages.syntax.names.analysis import NameFacts
    from verifier.api import SourceFile

_FEW = 40  # files: below this, starting workers costs more than they save
_SCAN = "syntax scan"
_TAME = 64 * 1024  # bytes: a larger file is always read where it can be killed


def scan_file(file: SourceFile) -> FileScan:
    """Compile one file and establish every fact that later checks share."""
    compiled = compile_source(file)
    if compiled.code is None:
        return FileScan(file.path, compiled.problem, compiled.warnings)
    if not opcodes.READABLE:
        return _from_tree(file, compiled.warnings)
    reading = read(compiled.code)
    suspicion = screen.judge(reading, compiled.code, file.path, file.data or b"")
    dynamic = "__getattr__" in reading.bindings
    if not suspicion.needed and (
        not suspicion.owners or excerpt.all_in_order(compiled.code, file.data or b"", suspicion.owners)
    ):
        return FileScan(file.path, None, compiled.warnings, reading.imports, reading.bindings, dynamic)
    facts = _facts(file, suspicion)
    if facts is None:
        return FileScan(file.path, too_deep_to_read(), compiled.warnings, reading.imports, reading.bindings, dynamic)
    return FileScan(
        file.path,
        None,
        compiled.warnings,
        reading.imports,
        reading.bindings | facts.added,
        dynamic or facts.dynamic,
        facts.findings,
        frozenset(facts.open),
        facts.injected,
    )


def scan_tree(file: SourceFile) -> FileScan:
    """Establish the same facts without reading bytecode: slower, same result."""
    compiled = compile_source(file)
    if compiled.code is None:
        return FileScan(file.path, compiled.problem, compiled.warnings)
    return _from_tree(file, compiled.warnings)


def _from_tree(file: SourceFile, warnings: tuple[CompileWarning, ...]) -> FileScan:
    tree = parsing.parse(file)
    facts = _facts(file, None)
    if tree is None or facts is None:
        return FileScan(file.path, too_deep_to_read(), warnings)
    return FileScan(
        file.path,
        None,
        warnings,
        imports.sites(tree),
        facts.bindings | facts.added,
        facts.dynamic,
        facts.findings,
        frozenset(facts.open),
        facts.injected,
    )


def _facts(file: SourceFile, suspicion: screen.Suspicion | None) -> NameFacts | None:
    tree = parsing.parse(file)
    if tree is None:
        return None
    try:
        return analyse(tree, file.path, file.data or b"", suspicion)
    except RecursionError:
        return None


def too_deep_to_read() -> CompileProblem:
    return CompileProblem("too-complex", "the code compiles, but is nested too deeply to be read whole")


def resolve_open(file: SourceFile, scan: FileScan, star_names: frozenset[str] | None) -> tuple[Finding, ...]:
    """Return the findings for names that a star import could have bound and did not.

    `star_names`: every name that the file's star imports bind; None where that cannot be known.
    """
    if star_names is None or scan.open_names <= star_names:
        return ()
    facts = _facts(file, screen.Suspicion(needed=True, namespace=True, owners=frozenset()))
    if facts is None:
        return ()
    return tuple(finding for name, finding in facts.open.items() if name not in star_names)


def scan_all(
    files: Sequence[SourceFile], *, jobs: int, progress: Callable[[str], None], kept: KeptScans | None = None
) -> dict[str, FileScan]:
    """Scan every file, once for all tasks of a run, and not where an earlier run has.

    One that kills its worker is named; the others keep theirs.
    """
    scans: dict[str, FileScan] = {file.path: file.established[_SCAN] for file in files if _SCAN in file.established}
    if kept is not None:
        scans |= kept.known([file for file in files if file.path not in scans])
    fresh = [file for file in files if file.path not in scans]
    scans |= _scan_fresh(fresh, jobs=jobs, progress=progress)
    if kept is not None:
        kept.keep(fresh, scans)
    for file in files:
        problem = scans[file.path].problem
        if problem is not None and problem.kind == "too-complex":
            parsing.give_up(file)
        else:
            file.established[_SCAN] = scans[file.path]
    return _without_injected(dict(sorted(scans.items())))


def _scan_fresh(files: Sequence[SourceFile], *, jobs: int, progress: Callable[[str], None]) -> dict[str, FileScan]:
    sizes = {file.path: len(file.data or b"") for file in files}  # read here, so that workers inherit the bytes
    tame = [file for file in files if sizes[file.path] <= _TAME] if len(files) < _FEW else []
    others = [file for file in files if file not in tame] if tame else files
    results: dict[str, FileScan] = {}
    with collector_paused():
        for file in tame:
            results[file.path] = _scan_guarded(file)
        for index, scan in map_forked(lambda index: _scan_guarded(others[index]), len(others), jobs, progress):
            path = others[index].path
            results[path] = scan if not isinstance(scan, Died) else FileScan(path, _killed(scan))
    return results


def _scan_guarded(file: SourceFile) -> FileScan:
    try:
        return scan_file(file)
    except (RecursionError, MemoryError) as error:
        if isinstance(error, MemoryError):
            may_differ_next_time("there was not enough memory")
        return FileScan(file.path, too_deep_to_read())
    finally:
        parsing.forget(file)


def _killed(died: Died) -> CompileProblem:
    return CompileProblem("too-complex", f"the process that read it was ended: {died.reason}")


def _without_injected(scans: dict[str, FileScan]) -> dict[str, FileScan]:
    """Drop findings about names that some file of the project puts among the builtins."""
    injected = frozenset().union(*(scan.injected for scan in scans.values()))
    if not injected:
        return scans
    return {
        path: replace(
            scan,
            findings=tuple(f for f in scan.findings if not (f.rule == "SCP001" and f.symbol in injected)),
            open_names=scan.open_names - injected,
        )
        for path, scan in scans.items()
    }


def problem_finding(path: str, problem: CompileProblem, hint: str = "") -> Finding:
    """Return the SYN001 finding for a file that CPython refuses; `hint` says what else is known of the cause."""
    return Finding(
        rule="SYN001",
        severity=Severity.CRITICAL,
        message=f"{_PROBLEM[problem.kind]}: {problem.message}{f'; {hint}' if hint else ''}",
        location=Location(path=path, line=problem.line, column=problem.column, end_line=problem.end_line),
        evidence=(Evidence(kind="source", summary=_SEEN[problem.kind].format(path, problem.line, problem.message)),),
        why=_WHY.get(problem.kind, "Python compiles a whole file before it runs any of it."),
        impact=_IMPACT.get(problem.kind, "Nothing in this file can be imported or run."),
        remediation=_REPAIR[problem.kind],
    )


def warning_findings(path: str, warnings: Sequence[CompileWarning]) -> tuple[Finding, ...]:
    """Return the SYN002 findings of a file: one for each message, whatever the number of lines that give it."""
    grouped: dict[tuple[str, str], list[CompileWarning]] = {}
    for warning in warnings:
        grouped.setdefault((warning.category, warning.message), []).append(warning)
    return tuple(warning_finding(path, same) for same in grouped.values())


def warning_finding(path: str, same: Sequence[CompileWarning]) -> Finding:
    """Return the SYN002 finding for one message, at its first line."""
    first = same[0]
    mild = first.category == "DeprecationWarning" or "escape sequence" in first.message
    return Finding(
        rule="SYN002",
        severity=Severity.INFO if mild else Severity.LOW,
        message=f"Python warns while compiling: {first.message}",
        location=Location(path=path, line=first.line),
        related=tuple(
            Related(location=Location(path=path, line=other.line), message="the same warning") for other in same[1:9]
        ),
        evidence=(Evidence(kind="source", summary=f"compile() gives {first.category} on line {first.line}"),),
        why="The compiler accepts the code but doubts that it means what was intended."
        if not mild
        else "A later Python turns this warning into an error.",
        remediation='Use a raw string (r"…") or double the backslash.'
        if "escape sequence" in first.message
        else "Change the expression that the warning names.",
    )


_PROBLEM = {
    "syntax": "Syntax error",
    "encoding": "The file cannot be decoded",
    "null-bytes": "Not Python source",
    "too-deep": "Too complex to compile",
    "too-complex": "Too complex to analyse",
    "unreadable": "The file cannot be read",
    "lfs-pointer": "The file is not checked out",
}
_REPAIR = {
    "syntax": "Correct the syntax at the place named.",
    "encoding": "Save the file as UTF-8, or declare its encoding on the first line (PEP 263).",
    "null-bytes": "Save the file as UTF-8 text, or exclude it if it is not Python.",
    "too-deep": "Split the expression or statement into smaller ones, or exclude the file if it is generated data.",
    "too-complex": "Split the file into smaller ones, or exclude it if it is generated data.",
    "unreadable": "Make it a file or folder that can be read, or exclude it.",
    "lfs-pointer": "Run `git lfs pull`, which puts the file in the place of its pointer, or exclude it.",
}
_SEEN = defaultdict(
    lambda: "compile() refuses {0} at line {1}: {2}",
    {"too-complex": "{0} was given up: {2}", "unreadable": "{0} was not read: {2}"},
)
_WHY = {
    "too-complex": "What was not read to its end is not proven.",
    "unreadable": "What was not read is not proven.",
    "lfs-pointer": "Git LFS keeps large files elsewhere; until this one is fetched, nothing of it is here to judge.",
}
_IMPACT = {
    "too-complex": "Nothing is known of the names and imports of this file; the other files were judged without it.",
    "unreadable": "Nothing is known of this file; the other files were judged without it.",
}
