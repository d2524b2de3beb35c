"""Run the declared tests with pytest and record what became of every single one."""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..wire import ALL, Collected, CollectProblem, Failure, Outcome, Share, SuiteEnd, TestDone
from .child import Unit
from .failure import safe_text
from .reached import Measurement
from .warned import Warned

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    import pytest

    from ..wire import Request
    from .child import Reporter


def units(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    return [Unit(name="pytest", body=functools.partial(_run_pytest, request))]


def _run_pytest(request: Request, reporter: Reporter) -> None:
    reporter.phase("loading pytest")
    import pytest  # noqa: PLC0415  the project's own, in its own environment

    sys.argv = ["pytest", *request.tests]
    recorder = recorder_for(reporter, request.share)
    cache = os.path.join(request.scratch, "pytest-cache")  # by option, not `-p no:cacheprovider`: `--lf` stays valid
    reporter.phase("collecting tests")
    options = ["-o", f"cache_dir={cache}", "-o", "faulthandler_timeout=0", "-p", "no:amp-sanitizer"]
    measurement, warned = Measurement(request.root, request.measured), Warned(reporter.project)
    code = pytest.main([*request.tests, *options], plugins=[recorder, warned, measurement])
    reporter.phase("adding up")
    for warning in warned.seen():
        reporter.item(warning)
    reporter.item(measurement.result())
    reporter.item(SuiteEnd(exit_code=int(code), pytest=str(pytest.__version__)))


@dataclass(slots=True)
class _Running:
    """One test under way: its phases add up to one outcome."""

    outcome: Outcome = "passed"
    duration_s: float = 0.0
    reason: str = ""
    failure: Failure | None = None
    location: tuple[str, int] = field(default=("", 1))


def recorder_for(reporter: Reporter, share: Share = ALL) -> object:
    """Build the pytest plugin. pytest is the project's, so its decorators exist only now."""
    import pytest  # noqa: PLC0415

    class Recorder:
        def __init__(self) -> None:
            self.running: dict[str, _Running] = {}
            self.failures: dict[tuple[str, str], Failure] = {}
            self.deselected = 0

        @pytest.hookimpl(trylast=True)
        def pytest_sessionstart(self) -> None:
            reporter.watch_for_crashes()  # pytest's own fault handler has just taken the place of ours

        def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
            self.deselected += len(items)

        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            mine = files_of(share, Counter(item.nodeid.partition("::")[0] for item in items))
            items[:] = [item for item in items if item.nodeid.partition("::")[0] in mine]

        @pytest.hookimpl(wrapper=True)
        def pytest_make_collect_report(
            self, collector: pytest.Collector
        ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
            reporter.phase(f"collecting {collector.nodeid or 'tests'}")
            report = yield
            if report.outcome != "passed":
                reporter.item(_collect_problem(report, reporter))
            return report

        @pytest.hookimpl(trylast=True)
        def pytest_collection_finish(self, session: pytest.Session) -> None:
            reporter.item(Collected(selected=len(session.items), deselected=self.deselected))

        def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
            self.running[nodeid] = _Running(location=(location[0], (location[1] or 0) + 1))
            reporter.phase(nodeid)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(
            self, item: pytest.Item, call: pytest.CallInfo[Any]
        ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
            report = yield
            if call.excinfo is not None and report.outcome == "failed":
                self.failures[report.nodeid, report.when or ""] = reporter.project.describe(call.excinfo.value)
            return report

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            _add(self.running.setdefault(report.nodeid, _Running()), report, self.failures)

        @pytest.hookimpl(trylast=True)
        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            reporter.item(_done(nodeid, self.running.pop(nodeid)))
            reporter.phase("between tests")

    return Recorder()


def files_of(share: Share, tests: Mapping[str, int]) -> frozenset[str]:
    """Return the files of one share: dealt out by their number of tests, each to the share that has fewest so far.

    A file is never divided, so that what its tests have in common is made once.

    Args:
        tests: file -> number of its tests; every share has to give the same ones.
    """
    dealt: list[tuple[int, list[str]]] = [(0, []) for _ in range(share.of)]
    for path, count in sorted(tests.items(), key=lambda item: (-item[1], item[0])):
        index = min(range(share.of), key=lambda number: dealt[number][0])
        dealt[index] = (dealt[index][0] + count, [*dealt[index][1], path])
    return frozenset(dealt[share.index][1])


def _add(test: _Running, report: pytest.TestReport, failures: dict[tuple[str, str], Failure]) -> None:
    test.duration_s += report.duration
    if report.outcome == "failed":
        test.outcome = "failed" if report.when == "call" or test.outcome == "failed" else "error"
        text = safe_text(report.longreprtext)
        known = failures.get((report.nodeid, report.when or ""))
        test.failure = test.failure or known or Failure(type="Failed", message=text, text=text)
        test.reason = test.reason or (test.failure.message or test.failure.type)
    elif report.outcome == "skipped" and test.outcome == "passed":
        expected = hasattr(report, "wasxfail")
        test.outcome = "xfailed" if expected else "skipped"
        test.reason = str(report.wasxfail) if expected else _skip_reason(report.longrepr)
    elif report.outcome not in ("passed", "failed", "skipped"):  # a re-run plugin: the last attempt decides
        test.outcome, test.failure, test.reason = "passed", None, ""


def _done(nodeid: str, test: _Running) -> TestDone:
    return TestDone(
        id=nodeid,
        outcome=test.outcome,
        duration_s=test.duration_s,
        path=test.location[0].replace(os.sep, "/"),
        line=test.location[1],
        reason=test.reason,
        failure=test.failure,
    )


def _skip_reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) and len(longrepr) == 3 else safe_text(longrepr)
    return str(text).removeprefix("Skipped: ")


def _collect_problem(report: pytest.CollectReport, reporter: Reporter) -> CollectProblem:
    if report.outcome == "skipped":
        return CollectProblem(id=report.nodeid, skipped=True, message=_skip_reason(report.longrepr))
    text = safe_text(report.longreprtext)
    error = getattr(getattr(report, "call", None), "excinfo", None)
    failure = reporter.project.describe(_innermost(error.value)) if error is not None else None
    return CollectProblem(id=report.nodeid, skipped=False, message=text[-1500:], failure=failure)


def _innermost(error: BaseException) -> BaseException:
    """Return what pytest wrapped: a CollectError hides the import error that caused it."""
    while type(error).__name__ == "CollectError" and error.__cause__ is not None:
        error = error.__cause__
    return error
