"""AMP205: a generator that only predicts does less harm to its consumer than one of a training loop."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Severity

PROGRAM = """
import torch

{decorator}
def stream(model, loader):
    with {contexts}:
        for batch in loader:
            yield model(batch)
"""


@pytest.mark.parametrize(
    ("decorator", "contexts", "severity"),
    [
        ("", 'torch.autocast("cuda")', Severity.HIGH),
        ("", 'torch.no_grad(), torch.autocast("cuda")', Severity.MEDIUM),
        ("@torch.inference_mode()", 'torch.autocast("cuda")', Severity.MEDIUM),
    ],
)
def test_prediction_is_less_grave(tmp_path: Path, decorator: str, contexts: str, severity: Severity) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM).format(decorator=decorator, contexts=contexts))
    found = [item for item in run_stage(STAGE, tmp_path, ["program.py"]).findings if item.rule == "AMP205"]
    assert [item.severity for item in found] == [severity]


WITHIN = """
import torch

def stream(model, loader):
    with torch.autocast("cuda"):
        with torch.inference_mode():
            for batch in loader:
                yield model(batch)
"""


def test_so_is_prediction_that_says_so_inside_of_the_context(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WITHIN)
    found = [item for item in run_stage(STAGE, tmp_path, ["program.py"]).findings if item.rule == "AMP205"]
    assert [item.severity for item in found] == [Severity.MEDIUM]
