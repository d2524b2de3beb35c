"""Rules about dtypes speak once for each place, also in files that do not speak of AMP themselves."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from stages.logic import stage as logic
from tests.builders import run_stage
from verifier.api import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import Finding

NET = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.fc = nn.Linear(dim, dim)

        def forward(self, x, mask):
            scores = self.fc(x)
            return scores.masked_fill(mask, -1e9)
"""
TRAIN = """
    import torch
    import net
    from net import Net

    def train(loader, scaler, name):
        model = {made}
        for x, mask in loader:
            with torch.autocast("cuda", dtype={dtype}):
                loss = model(x, mask).sum() + model(x, mask).mean()
            scaler.scale(loss).backward()
"""


def found(folder: Path, made: str, dtype: str = "torch.float16") -> list[Finding]:
    for path, text in {"net.py": NET, "train.py": TRAIN.replace("{made}", made).replace("{dtype}", dtype)}.items():
        (folder / path).write_text(textwrap.dedent(text), "utf-8")
    outcome = run_stage(logic.STAGE, folder, ["net.py", "train.py"])
    return [item for item in outcome.findings if item.rule == "AMP301"]


def test_model_in_another_file_is_reported_once_with_its_usual_severity(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "Net(8).cuda()")
    assert (finding.location.path, finding.location.line) == ("net.py", 11)
    assert finding.severity is Severity.HIGH
    assert [item.location.line for item in finding.related] == [10]


def test_model_that_is_only_imported_is_a_suspicion(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "getattr(net, name)(8)")
    assert finding.severity is Severity.LOW


def test_model_of_a_project_without_float16_is_not_reported(tmp_path: Path) -> None:
    assert found(tmp_path, "Net(8).cuda()", "torch.bfloat16") == []
    assert found(tmp_path, "getattr(net, name)(8)", "torch.bfloat16") == []
    assert found(tmp_path, "Net(8).cuda()", "torch.float32") == []
