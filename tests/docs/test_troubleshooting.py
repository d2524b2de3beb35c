"""Every mistake of the page is found where the page says, and the messages it quotes are those that PyTorch gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from stages.logic import stage as logic
from tests.builders import run_stage
from verifier.api import load_plugins

PAGE = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text("utf-8")
SECTIONS = {text.partition("\n")[0]: text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
BLOCKS = [
    pytest.param(title, code, id=title)
    for title, text in SECTIONS.items()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]
RULES = load_plugins().rules


@pytest.mark.parametrize(("title", "code"), BLOCKS)
def test_the_mistake_is_found_on_the_line_that_is_marked(title, code, tmp_path):
    (tmp_path / "train.py").write_text(code)
    outcome = run_stage(logic.STAGE, tmp_path, ["train.py"])
    found = {(item.location.line, item.rule) for item in outcome.findings}
    marked = {(n, rule) for n, line in enumerate(code.splitlines(), 1) for rule in re.findall(r"# (AMP\d+)", line)}
    assert marked
    assert found == marked
    assert {rule for _, rule in marked} <= set(re.findall(r"\[(AMP\d+)\]", SECTIONS[title]))


@pytest.mark.parametrize("title", SECTIONS)
def test_every_entry_says_cause_remedy_and_rules_that_exist(title):
    text = SECTIONS[title]
    for part in ("**Cause.**", "**Remedy.**", "**Rules.**"):
        assert part in text
    named = re.findall(r"\[(\w+)\]\(rules/(\w+)\.md\)", text)
    assert named
    assert all(code == link and code in RULES for code, link in named)


def test_every_entry_is_in_the_table_at_the_top():
    linked = re.findall(r"\]\(#([^)]+)\)", PAGE.split("\n## ")[0])
    assert sorted(linked) == sorted(
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in SECTIONS
    )


def scaler_and_optimizer(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return torch.amp.GradScaler("cpu", init_scale=2.0), optimizer


def scaled_backward(model, scaler):
    dtype = next(model.parameters()).dtype
    scaler.scale(model(torch.ones(1, 2, dtype=dtype)).float().sum()).backward()


def unscale_half():
    model = nn.Linear(2, 2).half()
    scaler, optimizer = scaler_and_optimizer(model)
    scaled_backward(model, scaler)
    scaler.step(optimizer)


def unscale_twice():
    model = nn.Linear(2, 2)
    scaler, optimizer = scaler_and_optimizer(model)
    scaled_backward(model, scaler)
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


def update_without_step():
    model = nn.Linear(2, 2)
    scaler, _ = scaler_and_optimizer(model)
    scaled_backward(model, scaler)
    scaler.update()


def index_put():
    buffer = torch.zeros(3)
    buffer[torch.tensor([0])] = torch.ones(1, dtype=torch.bfloat16)


MESSAGES = {
    "Attempting to unscale FP16 gradients.": unscale_half,
    "unscale_() has already been called on this optimizer since the last update().": unscale_twice,
    "No inf checks were recorded prior to update.": update_without_step,
    "mat1 and mat2 must have the same dtype": lambda: nn.Linear(2, 2)(torch.ones(2, 2).bfloat16()),
    "Index put requires the source and destination dtypes match": index_put,
    "Got unsupported ScalarType BFloat16": lambda: torch.ones(1).bfloat16().numpy(),
    "value cannot be converted to type c10::Half without overflow": lambda: (
        torch.ones(1).half().masked_fill(torch.tensor([True]), -1e9)
    ),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_pytorch_says_what_the_page_quotes(message):
    assert message in PAGE
    with pytest.raises((RuntimeError, ValueError, AssertionError, TypeError), match=re.escape(message)):
        MESSAGES[message]()


def test_the_schedule_warns_as_quoted_when_the_first_step_is_skipped():
    model = nn.Linear(2, 2)
    scaler, optimizer = scaler_and_optimizer(model)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    scaler.scale(model(torch.ones(1, 2)).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    message = "Detected call of `lr_scheduler.step()` before `optimizer.step()`"
    with pytest.warns(UserWarning, match=re.escape(message)):
        scheduler.step()
    assert message.replace("`", "") in PAGE


def test_bce_is_silent_on_a_cpu_and_banned_by_the_text_on_cuda():
    quoted = "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast."
    assert quoted in PAGE
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nn.functional.binary_cross_entropy(torch.sigmoid(torch.ones(2)), torch.ones(2)).isfinite()


def test_after_144_skips_in_a_row_a_healthy_step_breaks_the_weights():
    def weights_after(skips):
        weight = nn.Parameter(torch.ones(2))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
        for factor in [*[float("nan")] * skips, 1.0]:
            optimizer.zero_grad()
            scaler.scale((weight * factor).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        return weight.detach()

    assert "After 144 skips" in PAGE
    assert weights_after(140).isfinite().all()
    assert not weights_after(144).isfinite().any()


def test_a_bfloat16_weight_loses_every_update_below_a_512th_of_it():
    weights = torch.linspace(0.5, 4, 997).bfloat16()
    assert torch.equal(weights - weights.float().div(513).bfloat16(), weights)
    assert not torch.equal(weights - weights.float().div(250).bfloat16(), weights)
    assert "below 1/512 of a weight" in PAGE


def test_what_autocast_knows_on_a_gpu_is_mostly_not_what_it_knows_on_a_cpu():
    names = torch._C._dispatch_get_all_op_names()
    gpu, cpu = (
        {name for name in names if torch._C._dispatch_has_kernel_for_dispatch_key(name, f"Autocast{kind}")}
        for kind in ("CUDA", "CPU")
    )
    assert len(gpu & cpu) < len(gpu - cpu) + len(cpu - gpu)
    assert len(gpu & cpu) < min(len(gpu), len(cpu)) / 2
    assert {"aten::softmax.int", "aten::exp", "aten::pow.Tensor_Scalar", "aten::sum"} <= gpu
    half = torch.rand(4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = {value.dtype for value in (half.softmax(0), half.exp(), half.pow(2), half.sum())}
    assert found == {torch.bfloat16}


def test_a_float16_loss_caps_the_scale():
    assert "caps the scale at 32,768" in PAGE
    seen = []
    for scale in (32768.0, 65536.0):
        weight = nn.Parameter(torch.ones(2).half())
        torch.amp.GradScaler("cpu", init_scale=scale).scale(weight.sum()).backward()
        seen.append(bool(weight.grad.isfinite().all()))
    assert seen == [True, False]
