"""Builds a tiny project on disk and runs stage 3 over it with short limits."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from stages.integration.stage import STAGE
from tests.builders import run_stage
from verifier.api import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verifier.api import Config, Finding, Gate, StageOutcome

WORKLOAD = """
class Training:
    def __init__(self, amp):
        self.precision = "bf16" if amp else "fp32"
        self.loss, self.factor = 1.0, 0.95 if amp else 0.951

    def step(self):
        self.loss *= self.factor
        return self.loss


def toy(*, amp, seed):
    return Training(amp)
"""


def write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).removeprefix("\n"), encoding="utf-8")


def integrate(
    root: Path,
    files: Mapping[str, str],
    *,
    tests: tuple[str, ...] = (),
    workloads: tuple[str, ...] = (),
    time_limit_s: float = 30.0,
    memory_limit_gib: float | None = None,
    sandbox: str = "auto",
    require_isolation: str | None = None,
    jobs: int = 1,
    config: Config | None = None,
    **task: Any,
) -> StageOutcome:
    write(root, files)
    if not (root / "pytest.ini").exists():  # plugins of our own environment cost a second each time
        write(root, {"pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\n"})
    options = RunOptions(
        jobs=jobs,
        time_limit_s=time_limit_s,
        memory_limit_gib=memory_limit_gib,
        sandbox=sandbox,
        require_isolation=require_isolation,
    )
    task |= {"tests": tests, "workloads": workloads}
    return run_stage(STAGE, root, sorted(files), options=options, config=config, **task)


def gate(outcome: StageOutcome, name: str) -> Gate:
    (found,) = [gate for gate in outcome.gates if gate.name == name]
    return found


def only(outcome: StageOutcome) -> Finding:
    """Return the one finding; more than one cause for one breakage is a false alarm."""
    (found,) = outcome.findings
    return found


def at(finding: Finding) -> tuple[str, str, int]:
    return finding.rule, finding.location.path, finding.location.line
