"""Decides what a report must admit: each line follows from what this run did not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.facts import rows, section, text, texts, whole
from reports.figures import plural
from verifier.api import StageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import RunReport, StageResult

_EXECUTES = ("integration", "performance")


def limitations(report: RunReport, stages: Iterable[StageResult], *, whole: bool) -> tuple[str, ...]:
    ran = [stage for stage in stages if stage.status in (StageStatus.PASSED, StageStatus.FAILED)]
    said = [line for stage in ran for line in _of_stage(stage)]
    if whole:
        said += [f"Stage `{stage.name}` was not run: {stage.reason}." for stage in report.not_run]
        executed = any(stage.name in _EXECUTES for stage in ran)
        if not executed:
            said.append("No code was run: imports, tests and training were judged by reading only.")
        device = text(report.environment, "device")
        if executed and device and "cuda" not in device.lower():
            said.append(f"Measured on {device} only: nothing here says how the code behaves on CUDA.")
        said += _of_source(report)
    return tuple(line.replace("..", ".") for line in said)


def _of_stage(stage: StageResult) -> list[str]:
    said = texts(stage.facts, "limitations")
    if stage.name != "integration":
        return said
    tests = section(stage.facts, "tests")
    if not rows(stage.facts, "workloads"):
        said.append("No training step was run: the task declares no workload.")
    if not tests:
        said.append("No test was run: the task declares none.")
    elif skipped := whole(tests, "skipped"):
        said.append(
            f"{plural(skipped, 'test')} skipped: what {'it' if skipped == 1 else 'they'} would show is unknown."
        )
    return said


def _of_source(report: RunReport) -> list[str]:
    if report.source.commit is None:
        return ["The tree is not under git: only the digests in `report.json` say what was judged."]
    if report.source.dirty:
        return ["The tree holds uncommitted changes: the commit alone does not reproduce this report."]
    return []
