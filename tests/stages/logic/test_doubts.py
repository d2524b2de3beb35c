"""What only may run in low precision is a suspicion that costs nothing, said once for a function and rule."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from stages.logic import stage as logic
from tests.builders import run_stage
from verifier.api import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.api import Finding

LOSS = """
    import torch

    def focal(logits, y):
        p = torch.sigmoid(logits)
        return -(y * torch.log(p + 1e-8) + (1 - y) * torch.log(1 - p + 1e-8)).mean()
"""
TRAIN = """
    import torch
    from loss import focal

    def train(net, loader, optimizer):
        scaler = torch.amp.GradScaler("cuda")
        for x, y in loader:
            with torch.autocast("cuda", dtype=torch.float16):
                out = net(x)
                loss = focal({given}, y)
            scaler.scale(loss).backward()
"""
PLAIN = """
    def train(net, loader):
        return [net(x) for x in loader]
"""


def found(folder: Path, train: str, loss: str = LOSS, loss_path: str = "loss.py") -> list[Finding]:
    files = {loss_path: loss, "train.py": train}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text), "utf-8")
    outcome = run_stage(logic.STAGE, folder, list(files))
    return [item for item in outcome.findings if item.rule in ("AMP302", "AMP303")]


def test_project_that_speaks_of_float16_is_told_once_for_a_function(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, TRAIN.replace("{given}", "out"))
    assert (finding.location.path, finding.location.line, finding.symbol) == ("loss.py", 6, "focal")
    assert finding.severity is Severity.INFO
    assert "only a run can" in (finding.why or "")
    assert len(finding.related) == 1


def test_project_that_speaks_of_no_half_precision_is_not_told(tmp_path: Path) -> None:
    assert not found(tmp_path, PLAIN)


def test_bfloat16_holds_what_float16_does_not(tmp_path: Path) -> None:
    train = 'import torch\ncontext = torch.autocast("cpu", dtype=torch.bfloat16)\n'
    assert not found(tmp_path, train)


def test_argument_that_a_call_in_sight_widens_is_believed(tmp_path: Path) -> None:
    assert not found(tmp_path, TRAIN.replace("{given}", "out.float()"))


def test_function_that_is_called_where_autocast_is_off_is_left_alone(tmp_path: Path) -> None:
    train = TRAIN.replace(
        "                loss = focal({given}, y)",
        "            with torch.autocast('cuda', enabled=False):\n                loss = focal(out.float(), y)",
    )
    assert not found(tmp_path, train)


def test_branch_that_asks_for_the_dtype_is_left_alone(tmp_path: Path) -> None:
    loss = """
        import torch

        def focal(logits, y):
            p = torch.sigmoid(logits)
            if p.dtype == torch.float16:
                return torch.log(p + 1e-4).mean()
            else:
                return torch.log(p + 1e-8).mean()
    """
    assert not found(tmp_path, TRAIN.replace("focal({given}, y)", "out.sum()"), loss)


def test_file_of_tests_is_left_alone(tmp_path: Path) -> None:
    assert not found(tmp_path, TRAIN.replace("focal({given}, y)", "out.sum()"), loss_path="tests/test_loss.py")
