"""AMP201: how sure it is depends on whether cached weights can be the ones that are stepped."""

from __future__ import annotations

import textwrap
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from stages.logic.stage import STAGE
from tests.builders import run_stage
from verifier.api import Severity

PROGRAM = """
import torch

def train(model, loader, latent):
    {before}
    optimizer = torch.optim.Adam({parameters})
    with torch.autocast("cuda", dtype=torch.bfloat16):
        for batch in loader:
            loss = model(batch, latent).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
"""


@pytest.mark.parametrize(
    ("before", "parameters", "severity"),
    [
        ("model.train()", "model.parameters()", Severity.CRITICAL),
        ("model.train()", "[{'params': model.parameters(), 'lr': 0.1}]", Severity.CRITICAL),
        ("model.to(torch.bfloat16)", "model.parameters()", Severity.LOW),
        ("model.bfloat16()", "model.parameters()", Severity.LOW),
        ("model.requires_grad_(False)", "[latent]", Severity.LOW),
    ],
)
def test_only_weights_that_may_be_stepped_in_fp32_make_it_certain(
    tmp_path: Path, before: str, parameters: str, severity: Severity
) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM).format(before=before, parameters=parameters))
    found = [item for item in run_stage(STAGE, tmp_path, ["program.py"]).findings if item.rule == "AMP201"]
    assert [item.severity for item in found] == [severity]
    assert [item.location.line for item in found] == [7]


def _losses(*, around_all: bool) -> list[float]:
    """Train a layer for five steps, with one context around all of them or one for each forward."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    x, y = torch.randn(16, 4), torch.randn(16, 1)
    losses: list[float] = []
    with torch.autocast("cpu", dtype=torch.bfloat16) if around_all else nullcontext():
        for _ in range(5):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = (layer(x).float() - y).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return losses


def test_in_one_context_torch_itself_shows_the_loss_of_the_first_weights() -> None:
    stale, fresh = _losses(around_all=True), _losses(around_all=False)
    assert len(set(stale)) == 1
    assert fresh == sorted(fresh, reverse=True)
    assert fresh[0] == stale[0] > fresh[-1]
