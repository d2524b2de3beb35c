"""Judge the declared tests: they were collected, they ran to the end, at least one passed and none failed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.wire import Collected, CollectProblem, SuiteEnd, TestDone
from stages.integration.causes import Cause, Subject, first_line, origin_of, place, raised_text, traceback_evidence
from stages.integration.endings import cause_of_probe, causes_of_ending
from stages.integration.gates import GATES, TESTS
from stages.integration.judged import Judged
from stages.integration.remedies import remedy_for
from stages.integration.rules import run002_test_fails, run003_tests_not_run, run023_flaky_test
from stages.integration.suite_facts import facts_of, limitations_of, selected
from verifier.api import Evidence, Gate, GateStatus, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amp_runtime.wire import Outcome
    from stages._probe.limits import Limits
    from stages._probe.records import ProbeReport, UnitReport
    from verifier.api import Json

UNIT = "pytest"
_PYTEST_ENDS = {2: "was interrupted", 3: "had an internal error", 4: "was called in a way it does not accept"}


def judge_tests(
    declared: Sequence[str],
    report: ProbeReport,
    limits: Limits,
    root: Path,
    configuration: Location,
    flaky: frozenset[str] = frozenset(),
) -> Judged:
    """Judge the run.

    Args:
        configuration: where the tests are declared: the place of what belongs to no test.
        flaky: failed tests that passed when they were run again.
    """
    unit = report.units.get(UNIT)
    whole = Subject(name="tests", doing="running the declared tests", location=configuration)
    if unit is None:
        causes = [cause for cause in [cause_of_probe(report, whole, limits)] if cause]
        return Judged(checks_run=0, causes=tuple(causes), gates=(_gate(GateStatus.FAIL, "pytest never started"),))
    tests = [item for item in unit.items if isinstance(item, TestDone)]
    problems = [item for item in unit.items if isinstance(item, CollectProblem)]
    causes = _failures(tests, flaky)
    causes += _ending(unit, report, limits, root, whole)
    causes += _not_collected(problems, declared, whole)
    causes += _nothing_proven(unit, tests, declared, whole, report, so_far=bool(causes))
    counts = Counter(test.outcome for test in tests)
    failed = bool(causes) or counts["passed"] == 0
    return Judged(
        checks_run=max(len(tests), selected(unit)),
        causes=tuple(causes),
        gates=(_gate(GateStatus.FAIL if failed else GateStatus.PASS, _evidence(unit, tests, problems)),),
        facts={"tests": facts_of(unit, tests, problems, flaky)},
        limitations=limitations_of(unit, tests, problems),
    )


def _gate(status: GateStatus, evidence: str) -> Gate:
    return Gate(name=TESTS, requirement=GATES[TESTS], status=status, evidence=evidence)


def _failures(tests: Sequence[TestDone], flaky: frozenset[str]) -> list[Cause]:
    causes = []
    for test in tests:
        if test.outcome not in ("failed", "error") or test.failure is None:
            continue
        subject = Subject(name=test.id, doing=f"running {test.id}", location=_defined(test))
        location = place(test.failure.frames, subject.location)
        what = "fails" if test.outcome == "failed" else "cannot be set up or torn down"
        if test.id in flaky:
            what += ", and passes when it is run again"
        causes.append(
            Cause(
                rule=run023_flaky_test.RULE if test.id in flaky else run002_test_fails.RULE,
                subject=subject,
                key=(test.failure.type, location),
                message=f"{test.id} {what}: {raised_text(test.failure)}",
                location=location,
                remediation=remedy_for(
                    test.failure, f"Correct the line shown, or the code it checks; `pytest {test.id}` runs it alone."
                ),
                evidence=(traceback_evidence(test.failure),),
                origin=origin_of(test.failure),
            )
        )
    return causes


def _ending(unit: UnitReport, report: ProbeReport, limits: Limits, root: Path, whole: Subject) -> list[Cause]:
    """Judge how the process ended; what it was doing then is the test that was under way."""
    phase = unit.result.phase
    subject = whole
    if "::" in phase:
        subject = Subject(name=phase, doing=f"running {phase}", location=_defined_in(phase, root))
    elif phase.startswith("collecting"):
        subject = Subject(name=phase, doing=phase, location=whole.location)
    return causes_of_ending(unit.result, subject, report, limits)


def _not_collected(problems: Sequence[CollectProblem], declared: Sequence[str], whole: Subject) -> list[Cause]:
    causes = []
    for problem in problems:
        if problem.skipped:
            continue
        failure = problem.failure
        frames = failure.frames if failure else ()
        own = Location(path=problem.id.partition("::")[0]) if problem.id.partition("::")[0] else whole.location
        text = raised_text(failure) if failure else first_line(problem.message)
        key = (failure.type, failure.message, place(frames, own)) if failure else (problem.id,)
        causes.append(
            Cause(
                rule=run003_tests_not_run.RULE,
                subject=Subject(name=problem.id, doing=f"collecting {problem.id}", location=own),
                key=key,
                message=f"pytest cannot collect {problem.id or ', '.join(declared)}: {text}",
                location=place(frames, own),
                remediation=remedy_for(failure, _UNIMPORTABLE) if failure else _UNIMPORTABLE,
                impact="None of the tests in this file ran.",
                evidence=(traceback_evidence(failure),) if failure else (),
                origin=origin_of(failure) if failure else None,
            )
        )
    return causes


def _nothing_proven(
    unit: UnitReport,
    tests: Sequence[TestDone],
    declared: Sequence[str],
    whole: Subject,
    report: ProbeReport,
    *,
    so_far: bool,
) -> list[Cause]:
    """Return why a run without a failing test is no pass all the same."""
    if so_far:
        return []
    failure, end = unit.result.failure, next((item for item in unit.items if isinstance(item, SuiteEnd)), None)
    names = ", ".join(declared)
    if failure is not None and "'pytest'" in failure.message and failure.type == "ModuleNotFoundError":
        return [_not_run(whole, "The declared tests cannot run: pytest is not installed.", _INSTALL_PYTEST)]
    if failure is not None:
        cause = _not_run(whole, f"pytest ended with {raised_text(failure)}", "Correct what the traceback shows.")
        return [_with(cause, traceback_evidence(failure))]
    if not tests and selected(unit) == 0 and (end is None or end.exit_code in (0, 5)):
        return [_none_collected(unit, names, whole)]
    if end is None or end.exit_code not in (0, 1, 5):
        how = _PYTEST_ENDS.get(end.exit_code, f"ended with exit code {end.exit_code}") if end else "gave no result"
        cause = _not_run(whole, f"pytest {how}.", f"Run `pytest {names}` and correct what it says.")
        return [_with(cause, _output(report))]
    if len({test.id for test in tests}) < selected(unit):
        message = f"Only {len(tests)} of {selected(unit)} collected tests ran: something stopped pytest."
        return [_with(_not_run(whole, message, "Remove pytest.exit(), -x or --maxfail."), _output(report))]
    if not any(test.outcome == "passed" for test in tests):
        return [_all_skipped(tests, whole)]
    if end.exit_code == 1:
        return [_with(_exit_code(whole, names), _output(report))]
    return []


_UNIMPORTABLE = "Correct the line shown, so that the test file can be imported."
_INSTALL_PYTEST = (
    "Install it in the interpreter that runs the project (pip install pytest), or name another one with --python."
)


def _not_run(whole: Subject, message: str, remediation: str) -> Cause:
    return Cause(
        rule=run003_tests_not_run.RULE,
        subject=whole,
        key=("whole",),
        message=message,
        location=whole.location,
        remediation=remediation,
        impact="The task declares tests as its proof, and there is none.",
    )


def _none_collected(unit: UnitReport, names: str, whole: Subject) -> Cause:
    skipped = [item for item in unit.items if isinstance(item, CollectProblem) and item.skipped]
    if skipped:
        reasons = "; ".join(sorted({first_line(item.message) for item in skipped})[:3])
        message = f"Every test file skipped itself as a whole: {reasons}."
        return _not_run(whole, message, "Provide what the skip asks for, or remove the skip.")
    left_out = next((item.deselected for item in unit.items if isinstance(item, Collected)), 0)
    if left_out:
        message = (
            f"pytest left out all {left_out} tests below {names} by the project's own options (-m, -k, --deselect)."
        )
        return _not_run(whole, message, "Declare tests that these options keep.")
    message = f"pytest collected no test below {names}."
    return _not_run(whole, message, "Name files test_*.py and functions test_*, or correct `tests` in the task.")


def _all_skipped(tests: Sequence[TestDone], whole: Subject) -> Cause:
    reasons = Counter(first_line(test.reason) or "no reason given" for test in tests)
    listed = "; ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items())[:3])
    expected = sum(test.outcome == "xfailed" for test in tests)
    what = "was skipped" if not expected else f"was skipped or is expected to fail ({expected})"
    message = f"No test passed: every one of {len(tests)} {what}: {listed}."
    return _not_run(whole, message, "Provide what the skips ask for, or remove them.")


def _exit_code(whole: Subject, names: str) -> Cause:
    return Cause(
        rule=run002_test_fails.RULE,
        subject=whole,
        key=("exit-code",),
        message="pytest ended with exit code 1 although no test failed: one of its plugins objects.",
        location=whole.location,
        remediation=f"Run `pytest {names}`; its last lines say what is asked for (coverage, warnings, ...).",
    )


def _with(cause: Cause, evidence: Evidence) -> Cause:
    return Cause(
        rule=cause.rule,
        subject=cause.subject,
        key=cause.key,
        message=cause.message,
        location=cause.location,
        remediation=cause.remediation,
        impact=cause.impact,
        evidence=(*cause.evidence, evidence),
    )


def _output(report: ProbeReport) -> Evidence:
    data: dict[str, Json] = {"output": report.output_tail[-3000:]}
    return Evidence(kind="command", summary="the last lines that pytest printed", data=data)


def _defined(test: TestDone) -> Location:
    return Location(path=test.path or test.id.partition("::")[0], line=max(1, test.line))


def _defined_in(node: str, root: Path) -> Location:
    """Return where a test is defined, by its node id alone: it never came to say so itself."""
    path, _, rest = node.partition("::")
    name = rest.rpartition("::")[2].partition("[")[0]
    try:
        text = (root / path).read_text("utf-8", errors="replace")
    except OSError:
        return Location(path=path)
    match = re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", text, re.MULTILINE)
    return Location(path=path, line=text.count("\n", 0, match.start()) + 1 if match else 1)


def _evidence(unit: UnitReport, tests: Sequence[TestDone], problems: Sequence[CollectProblem]) -> str:
    counts = Counter(test.outcome for test in tests)
    parts = [f"{selected(unit)} collected", f"{counts['passed']} passed", f"{counts['failed']} failed"]
    parts += [f"{counts[name]} {label}" for name, label in _ALSO.items() if counts[name]]
    if errors := sum(not problem.skipped for problem in problems):
        parts.append(f"{errors} not collectable")
    return ", ".join(parts) + f", in {unit.result.duration_s:.1f} s"


_ALSO: dict[Outcome, str] = {"error": "with errors", "skipped": "skipped", "xfailed": "expected to fail"}
