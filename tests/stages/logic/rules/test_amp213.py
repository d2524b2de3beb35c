"""AMP213: half arithmetic is established only where nothing in it can be fp32."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Severity

PROGRAM = """
import torch

def loss(x, t):
    encode = torch.nn.Linear(8, 8)
    with torch.autocast("cuda", dtype=torch.float16):
        h = encode(x)
        with torch.autocast("cuda", enabled=False):
            return {operation}
"""


@pytest.mark.parametrize(
    ("operation", "severity"),
    [
        ("h * h", Severity.HIGH),
        ("h * 300", Severity.HIGH),
        ("h @ t", Severity.HIGH),
        ("torch.exp(h)", Severity.HIGH),
        ("h - t", Severity.LOW),
    ],
)
def test_arithmetic_with_what_may_be_fp32_is_a_suspicion(tmp_path: Path, operation: str, severity: Severity) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM).format(operation=operation))
    found = [item for item in run_stage(STAGE, tmp_path, ["program.py"]).findings if item.rule == "AMP213"]
    assert [item.severity for item in found] == [severity]
