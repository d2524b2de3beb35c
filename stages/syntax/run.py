"""One run of stage 1: scan every file once, judge imports over all of them, finish the names, gather facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages._source.compiling import collector_paused
from stages._source.depth import deep, usual_depth
from stages._source.environment import environment
from stages._source.notebooks import settle
from stages._source.parsing import parse
from stages._source.records import CompileProblem
from stages._source.testfiles import is_test_file
from stages._source.workers import Beside
from stages.syntax.configuration import check_configuration
from stages.syntax.conventions import conventions
from stages.syntax.dependencies.judge import dependency_problems
from stages.syntax.facts import syntax_facts
from stages.syntax.gates import extra_gates, syntax_gates
from stages.syntax.imports.judge import Imports, ImportsRequest, judge_imports, missing_imports
from stages.syntax.kept import kept_scans
from stages.syntax.lint import Linting
from stages.syntax.misnamed import misnamed_findings
from stages.syntax.notebooks import judge_cells, judged_by_cell, notebook_facts
from stages.syntax.refused import judge_refused
from stages.syntax.scan import problem_finding, resolve_open, scan_all, too_deep_to_read, warning_findings
from verifier.api import StageOutcome, rest_of_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages._source.records import FileScan
    from stages.syntax.imports.judge import ImportsOutcome
    from stages.syntax.kept import KeptScans
    from stages.syntax.refused import Refused
    from verifier.api import Finding, SourceFile, StageContext

_MANY_FILES = 100  # below this, what another process takes over costs less than the process
_READABLE_FILES = 200  # a task of more files keeps only counts and what findings rest on, unless --facts


def run_syntax(context: StageContext) -> StageOutcome:
    """Judge every Python file of the task. Executes nothing of it."""
    with deep(), collector_paused():
        return _judge(context)


def _judge(context: StageContext) -> StageOutcome:
    files = context.sources.python()
    full = context.options.all_facts or len(files) <= _READABLE_FILES
    cells = settle(files, jobs=context.options.jobs, progress=context.progress)
    kept = kept_scans(context.sources)
    scans = scan_all(files, jobs=context.options.jobs, progress=context.progress, kept=kept)
    refused = judge_cells(context, cells, judge_refused(context, files, scans))
    context.progress("resolving imports")
    linting = Linting(context, scans)
    imports = Imports(_request(context, scans, linting, kept, full=full))
    spread = context.options.jobs > 1 and len(files) >= _MANY_FILES
    # in this order: a process is not to be forked while another thread runs
    with Beside(missing_imports(imports), wanted=spread) as missing, linting:
        judged = judge_imports(imports.request, imports, missing.result)
        return _outcome(context, imports, judged, refused, linting)


def _outcome(
    context: StageContext, imports: Imports, judged: ImportsOutcome, refused: Refused, linting: Linting
) -> StageOutcome:
    files, scans, full = context.sources.python(), imports.request.scans, imports.request.want_full_facts
    context.progress("resolving names")
    findings = [*_file_findings(files, scans, refused), *judged.findings]
    for file in files:
        scan = scans[file.path]
        if scan.open_names:
            findings += resolve_open(file, scan, imports.star_names(file.path))
    findings = judged_by_cell([*findings, *refused.cell_findings], context.sources)
    linted = linting.outcome(findings, by_file=full)
    with usual_depth():
        configured = check_configuration(context.root, context.sources)
    reported = {row["path"] for row in configured.rows}
    unread = [file for file in context.sources.others_unread() if file.path not in reported]
    findings += [
        problem_finding(file.path, CompileProblem("unreadable", file.problem or "it cannot be read")) for file in unread
    ]
    context.progress("gathering facts")
    facts = syntax_facts(context.root, files, scans, judged, findings, full=full)
    facts |= {"lint": linted.facts, "config_files": configured.rows}
    facts["dependency_problems"] = dependency_problems(imports)
    notebooks = notebook_facts(context.sources, refused.cells)
    if notebooks.rows:
        facts |= {"notebooks": notebooks.rows, "limitations": notebooks.limitations}
    if full:
        too_deep: Any = facts.pop("too_deep")
        findings += [problem_finding(path, too_deep_to_read()) for path in too_deep]
        habits = conventions(files)
        facts["conventions"] = habits.rows
        findings += habits.findings
        findings += misnamed_findings(facts["misnamed_tests"])
    return StageOutcome(
        checks_run=2 * len(files) + len(unread) + judged.checks + linted.files + len(configured.rows),
        findings=(*findings, *linted.findings, *configured.findings),
        gates=(*syntax_gates(files, scans, judged, refused), *extra_gates(linted, configured)),
        facts=facts,
    )


def _request(
    context: StageContext, scans: Mapping[str, FileScan], linting: Linting, kept: KeptScans, *, full: bool
) -> ImportsRequest:
    def scan_more() -> tuple[Sequence[SourceFile], Mapping[str, FileScan]]:
        linting.settle()  # scanning forks
        rest = rest_of_project(context.config, context.sources)
        return rest, scan_all(rest, jobs=context.options.jobs, progress=context.progress, kept=kept)

    return ImportsRequest(
        root=context.root,
        source_roots=context.config.source_roots,
        files=context.sources,
        scans=scans,
        parse=parse,
        environment=environment(context.options.python),
        is_test=is_test_file,
        scan_more=scan_more,
        want_full_facts=full,
    )


def _file_findings(files: Sequence[SourceFile], scans: Mapping[str, FileScan], refused: Refused) -> list[Finding]:
    findings: list[Finding] = []
    for file in files:
        scan = scans[file.path]
        if file.path in refused.findings:
            findings.append(refused.findings[file.path])
        findings += warning_findings(file.path, scan.warnings)
        findings += scan.findings
    return findings
