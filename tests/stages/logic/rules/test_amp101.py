"""AMP101: what another optimizer of the same parameters has unscaled may be stepped on, as far as is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Severity

PROGRAM = """
import torch

def train(model, head, loader, {parameters}):
    {made}
    scaler = torch.amp.GradScaler("cuda")
    for x in loader:
        scaler.scale(head(model(x)).mean()).backward()
        scaler.step(opt_a)
        scaler.update()
        opt_b.step()
"""
MADE = "opt_a = torch.optim.SGD(model.parameters(), lr=lr); opt_b = torch.optim.SGD({second}.parameters(), lr=lr)"


@pytest.mark.parametrize(
    ("parameters", "made", "severity"),
    [
        ("opt_a, opt_b", "pass", Severity.LOW),  # which parameters they have is not known
        ("lr", MADE.format(second="model"), Severity.LOW),
        ("lr", MADE.format(second="head"), Severity.CRITICAL),
    ],
)
def test_a_step_of_shared_parameters_is_a_suspicion(
    tmp_path: Path, parameters: str, made: str, severity: Severity
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(parameters=parameters, made=made))
    found = [item for item in run_stage(STAGE, tmp_path, ["program.py"]).findings if item.rule == "AMP101"]
    assert [item.severity for item in found] == [severity]
