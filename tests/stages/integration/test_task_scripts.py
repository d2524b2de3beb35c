"""The scripts that a task declares run in FP32 and under AMP, and the switch between them has to work."""

from __future__ import annotations

from pathlib import Path

from stages.integration.stage import STAGE
from tests.builders import stage_context
from tests.stages.integration.projects import gate, write
from tests.stages.integration.training_scripts import training
from verifier.api import GateStatus, RunOptions, Script

SWITCHED = training(numbers="range(3)").replace(
    'torch.autocast("cpu", dtype=torch.float16)',
    'torch.autocast("cpu", dtype=torch.float16, enabled="--amp" in sys.argv)',
).replace("init_scale=1024.0", 'init_scale=1024.0, enabled="--amp" in sys.argv')  # fmt: skip


def test_both_modes_run_from_the_root_and_a_switch_without_effect_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"scripts/good.py": SWITCHED, "scripts/deaf.py": SWITCHED.replace("--amp", "--other")})
    scripts = tuple(Script(run=(f"scripts/{name}.py", "--x", "1"), amp=("--amp",)) for name in ("good", "deaf"))
    context = stage_context(tmp_path, ["scripts/good.py"], options=RunOptions(time_limit_s=120.0), scripts=scripts)
    outcome = STAGE.run(context)
    assert gate(outcome, "scripts").status is GateStatus.PASS
    assert gate(outcome, "scripts").evidence == "; ".join(
        f"scripts/{name}.py {mode}: 3 steps, ran to its end"
        for name in ("good", "deaf")
        for mode in ("in FP32", "under AMP")
    )
    (finding,) = outcome.findings
    assert (finding.rule, finding.location.path) == ("RUN016", "scripts/deaf.py")
    assert finding.message == "scripts/deaf.py under AMP enters no autocast region."
    assert [(run["run"], run["amp"]) for run in outcome.facts["sanitizer"]] == [
        ("scripts/good.py in FP32", False),
        ("scripts/good.py under AMP", True),
        ("scripts/deaf.py in FP32", False),
        ("scripts/deaf.py under AMP", True),
    ]
    assert gate(outcome, "sanitizer").status is GateStatus.PASS
    assert "no training step was run" not in " ".join(outcome.facts["limitations"])
