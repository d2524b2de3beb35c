"""Stage 3: run the task's modules, tests and workloads in processes of their own, and judge what they proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.discovery import rules_in
from stages.integration import rules
from stages.integration.gates import GATES
from stages.integration.heard import EMULATED, heard
from verifier.api import Need, Resources, Stage, hookimpl

if TYPE_CHECKING:
    from verifier.api import StageContext, StageOutcome


def run(context: StageContext) -> StageOutcome:
    from stages.integration.execution import Execution  # noqa: PLC0415 - static commands must not pay for it

    return Execution(context).outcome()


STAGE = Stage(
    number=3,
    name="integration",
    title="Integration",
    summary="Imports, tests and real training steps, in processes of their own",
    runs_code=True,
    run=run,
    rules=rules_in(rules),
    also_reports=(*heard(), EMULATED),
    gates=GATES,
    needs=(Need(stage="syntax", must_pass=True),),
    resources=Resources(cpus=2, memory_bytes=4 << 30, gpus=1),
)


@hookimpl
def verifier_stages() -> tuple[Stage, ...]:
    return (STAGE,)
