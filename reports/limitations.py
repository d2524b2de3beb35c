"""Decides what a report must admit: each line follows from what this run did not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.facts import text, texts
from reports.figures import sentence
from verifier.api import StageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import RunReport, StageResult

_EXECUTES = ("integration", "performance")


def limitations(report: RunReport, stages: Iterable[StageResult], *, whole: bool) -> tuple[str, ...]:
    ran = [stage for stage in stages if stage.status in (StageStatus.PASSED, StageStatus.FAILED)]
    said = [sentence(line) for stage in ran for line in texts(stage.facts, "limitations")]
    if whole:
        said += [sentence(f"Stage `{stage.name}` was not run: {stage.reason}") for stage in report.not_run]
        executed = any(stage.name in _EXECUTES for stage in ran)
        if not executed:
            said.append("No code was run: imports, tests and training were judged by reading only.")
        device = text(report.environment, "device")
        if executed and device and "cuda" not in device.lower():
            said.append(f"Measured on {device} only: nothing here says how the code behaves on CUDA.")
        said += _of_source(report)
    return tuple(said)


def _of_source(report: RunReport) -> list[str]:
    if report.source.commit is None:
        return ["The tree is not under git: only the digests in `report.json` say what was judged."]
    if report.source.dirty:
        return ["The tree holds uncommitted changes: the commit alone does not reproduce this report."]
    return []
