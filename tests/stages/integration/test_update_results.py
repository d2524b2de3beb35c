"""What reaches the parameters is compared, and a resumed run with a straight one; each difference is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stages.integration.projects import gate, integrate
from verifier.api import GateStatus, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import StageOutcome

TRAINING = """
import torch

class Training:
    precision = "fp32"

    def __init__(self, amp, seed):
        torch.manual_seed(seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=amp)
        self.inputs = torch.randn(64, 8)
        self.targets = self.inputs.sum(1, keepdim=True)
        self.amp, self.precision = amp, "fp16" if amp else "fp32"

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16, enabled=self.amp):
            loss = torch.nn.functional.mse_loss(self.model(self.inputs).float(), self.targets)
        self.scaler.scale(loss).backward()
        UNSCALE
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()

    def state_dict(self):
        return {name: getattr(self, name).state_dict() for name in PARTS}

    def load_state_dict(self, state):
        for name, part in state.items():
            getattr(self, name).load_state_dict(part)

def toy(*, amp, seed):
    return Training(amp, seed)
"""
PARTS = ("model", "optimizer", "scaler")


def train(root: Path, *, unscaled: bool = True, parts: tuple[str, ...] = PARTS) -> StageOutcome:
    text = TRAINING.replace("UNSCALE", "self.scaler.unscale_(self.optimizer)" if unscaled else "pass")
    return integrate(root, {"work.py": text.replace("PARTS", repr(parts))}, workloads=("work:toy",), time_limit_s=200.0)


def test_a_right_training_holds_in_updates_and_resume(tmp_path: Path) -> None:
    outcome = train(tmp_path)
    assert outcome.findings == ()
    assert gate(outcome, "amp-updates").status is GateStatus.PASS
    assert "turned by at most" in gate(outcome, "amp-updates").evidence
    assert gate(outcome, "resume").status is GateStatus.PASS
    (fact,) = outcome.facts["updates"]
    assert (fact["name"], fact["steps"], fact["deterministic"]) == ("work:toy", 6, True)
    assert outcome.facts["resumed"][0]["holds"] is True


def test_what_adam_hides_from_the_losses_is_found_in_the_updates(tmp_path: Path) -> None:
    outcome = train(tmp_path, unscaled=False)
    assert gate(outcome, "amp-agreement").status is GateStatus.PASS
    assert gate(outcome, "amp-updates").status is GateStatus.FAIL
    (finding,) = [one for one in outcome.findings if one.rule == "RUN010"]
    assert finding.severity is Severity.HIGH
    assert "times as long as in FP32" in finding.message


@pytest.mark.parametrize("forgotten", PARTS)
def test_what_a_checkpoint_forgets_is_named(tmp_path: Path, forgotten: str) -> None:
    outcome = train(tmp_path, parts=tuple(part for part in PARTS if part != forgotten))
    assert gate(outcome, "resume").status is GateStatus.FAIL
    (finding,) = [one for one in outcome.findings if one.rule == "RUN024"]
    assert ("loss scaler" if forgotten == "scaler" else "losses") in finding.message


def test_a_workload_that_cannot_be_saved_has_no_such_gate_and_that_is_said(tmp_path: Path) -> None:
    text = TRAINING.replace("UNSCALE", "pass").replace("    def state_dict", "    def state").replace("PARTS", "()")
    outcome = integrate(tmp_path, {"work.py": text}, workloads=("work:toy",), time_limit_s=200.0)
    assert "resume" not in {one.name for one in outcome.gates}
    assert any("no state_dict() and load_state_dict()" in said for said in outcome.facts["limitations"])
