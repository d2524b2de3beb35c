"""Stage 4: measure the task's workloads and scripts in FP32 and under AMP, and judge its requirements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.discovery import rules_in
from stages.performance import rules
from stages.performance.gates import GATES
from verifier.api import Need, Resources, Stage, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import KeptFile, RunReport, StageContext, StageOutcome


def run(context: StageContext) -> StageOutcome:
    from stages.performance.execution import Execution  # noqa: PLC0415 - static commands must not pay for it

    return Execution(context).outcome()


STAGE = Stage(
    number=4,
    name="performance",
    title="Performance",
    summary="Speed, memory and accuracy of AMP against FP32, measured here",
    runs_code=True,
    run=run,
    rules=rules_in(rules),
    gates=GATES,
    needs=(Need(stage="integration", must_pass=True),),
    resources=Resources(cpus=2, memory_bytes=4 << 30, gpus=1),
)


@hookimpl
def verifier_stages() -> tuple[Stage, ...]:
    return (STAGE,)


@hookimpl
def verifier_baseline(report: RunReport, root: Path, reason: str | None) -> tuple[KeptFile, ...]:
    from stages.performance.baselines.saving import kept_files  # noqa: PLC0415 - only `--save-baseline` asks

    return kept_files(report, root, reason)
