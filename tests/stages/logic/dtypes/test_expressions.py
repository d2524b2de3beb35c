"""What expressions are under autocast, checked against torch where a CPU can run them."""

from __future__ import annotations

import pytest
import torch

from tests.stages.logic.dtypes.probing import probe

BF16 = 'torch.autocast("cpu", dtype=torch.bfloat16)'
ON_CPU_AS_ON_CUDA = [
    "x @ w",
    "torch.matmul(x, w) / 3.0",
    "F.linear(x, w).relu()",
    "half + half",
    "half + wide",
    "half * 2",
    "half.transpose(0, 1)",
    "half.sigmoid()",
    "torch.tanh(half)",
    "half.float()",
    "half.to(torch.float32)",
    "half.to(torch.float16)",
    "half.masked_fill(mask, -1.0)",
    "torch.cat([half, half])",
    "torch.stack((half, wide))",
    "half.new_zeros(2)",
    "torch.zeros_like(half)",
    "half[0]",
    "-half",
    "half.argmax()",
    "half > 0",
    "whole + 1",
    "whole * 0.5",
    "whole / 2",
    "whole.half()",
    "half.type_as(wide)",
    "torch.where(mask, half, half)",
    "half.detach().abs().mean()",
    "half.square()",
]
NAMES = {
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float32: "float32",
    torch.int64: "int",
    torch.bool: "bool",
}


@pytest.mark.parametrize("expression", ON_CPU_AS_ON_CUDA)
def test_expression_is_what_torch_makes_of_it(expression: str) -> None:
    names = {"torch": torch, "F": torch.nn.functional, "x": torch.ones(4, 4), "w": torch.ones(4, 4)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = names["x"] @ names["w"]
        names |= {"half": half, "wide": half.float(), "whole": torch.arange(4), "mask": torch.ones(4, 4).bool()}
        run = eval(expression, names)
    assert probe(expression, around=BF16).dtype == NAMES[run.dtype]


@pytest.mark.parametrize(
    "expression",
    [
        "half.softmax(-1)",
        "half.exp()",
        "torch.log(half)",
        "half.sum()",
        "half ** 2",
        "half.norm()",
        "F.mse_loss(half, x)",
    ],
)
def test_operations_of_cuda_autocast_widen(expression: str) -> None:
    assert probe(expression).dtype == "float32"
    assert probe(expression.replace("half", "x.half()"), around='torch.autocast("cuda", enabled=False)').dtype in (
        "float16",
        "bfloat16",
    )


@pytest.mark.parametrize(
    "expression", ["half + x", "half / x", "unknown(half)", "half.to(x.dtype)", "x", "half.max(1)"]
)
def test_what_is_not_known_stays_unknown(expression: str) -> None:
    assert probe(expression).dtype == ""


@pytest.mark.parametrize(
    ("expression", "mark"),
    [
        ("half + 1e-8", "tiny"),
        ("half.clamp(min=1e-8)", "tiny"),
        ("half.clamp(0.1, 1 - 1e-7)", "ceiling"),
        ("1 - half.sigmoid()", "one-minus-sigmoid"),
        ("half * half", "square"),
        ("torch.square(half).mean()", "mean-square"),
    ],
)
def test_marks_what_rules_ask_about(expression: str, mark: str) -> None:
    assert mark in [name for name, _ in probe(expression).marks]


def test_product_of_positions_is_remembered_through_a_late_widening() -> None:
    known = probe("(torch.arange(n)[:, None].float() @ w).float()")
    assert known.positions
    assert known.since is not None
    assert not probe("(x @ w).float()").positions
