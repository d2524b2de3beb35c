"""AMP138: a context that is chosen by a flag is on where the flag is, whatever its own `enabled` says."""

from __future__ import annotations

from pathlib import Path

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Severity

CHOSEN = """
from contextlib import nullcontext

import torch

def train(meta, model, loader, optimizer):
    scaler = torch.amp.GradScaler("cuda", enabled=meta.scaled)
    for batch in loader:
        with {context}:
            loss = model(batch)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
"""


def severities(root: Path, context: str) -> list[Severity]:
    (root / "train.py").write_text(CHOSEN.format(context=context), "utf-8")
    return [item.severity for item in run_stage(STAGE, root, ["train.py"]).findings if item.rule == "AMP138"]


def test_two_flags_that_may_be_one_are_a_suspicion(tmp_path: Path) -> None:
    context = 'torch.autocast("cuda", enabled=True) if meta.amp else nullcontext()'
    assert severities(tmp_path, context) == [Severity.LOW]


def test_a_context_that_is_always_on_is_not(tmp_path: Path) -> None:
    assert severities(tmp_path, 'torch.autocast("cuda", enabled=True)') == [Severity.HIGH]
