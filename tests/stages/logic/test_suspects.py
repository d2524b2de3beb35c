"""Lines are found by their text, quickly, and only where it could be what harms."""

from __future__ import annotations

import textwrap

import pytest

from stages.logic.suspects import Spoken, suspicious_lines

HALF = Spoken(float16=True, low=True, pure=True)
NONE = Spoken(float16=False, low=False, pure=False)


def lines(code: str, spoken: Spoken = HALF) -> list[int]:
    return sorted(suspicious_lines(("import torch\n" + textwrap.dedent(code).lstrip("\n")).encode(), spoken))


@pytest.mark.parametrize(
    "line",
    [
        "scores = scores.masked_fill(mask == 0, -1e9)",
        "p = scores.softmax(-1); q = p + (1.0 - mask) * -1e30",
        "y = x.masked_fill(mask, torch.finfo(torch.float32).min)",
        "y = x / (x.std() + 1e-8)",
        "y = torch.log(p.clamp(min=1e-12))",
        "p = p.clamp(max=1 - 1e-7)",
        "f = torch.einsum('i,j->ij', t, inv_freq)",
        "t = torch.arange(n, device=x.device).type_as(self.inv_freq)",
        "t = torch.arange(n, dtype=x.dtype)",
        "class Multiply(torch.autograd.Function): pass",
        "loss = F.binary_cross_entropy(p, y)",
    ],
)
def test_line_that_may_do_harm_is_found(line: str) -> None:
    assert lines(line) == [2]


@pytest.mark.parametrize(
    "line",
    [
        "scores = scores.masked_fill(mask == 0, -1e4)",
        "y = x.masked_fill(mask, torch.finfo(x.dtype).min)",
        "y = x / (x.std() + 1e-5)",
        "t = torch.arange(n, dtype=torch.float32)",
        "y = torch.einsum('ij,jk->ik', x, w)",
        "optimizer = Adam(params, eps=1e-8)",
        "class Point(namedtuple('Function', 'x y')): pass",
        "loss = F.binary_cross_entropy_with_logits(p, y)",
    ],
)
def test_other_line_is_passed_over(line: str) -> None:
    assert lines(line) == []


def test_line_that_uses_the_name_of_such_a_number_is_found() -> None:
    code = """
        NEG_INF = -1e9
        def forward(x, mask):
            return x.masked_fill(mask, NEG_INF).softmax(-1)
    """
    assert 4 in lines(code)


def test_file_without_torch_is_not_looked_at() -> None:
    assert suspicious_lines(b"x = x / (x.std() + 1e-8)", HALF) == frozenset()


def test_project_that_speaks_of_no_half_precision_is_asked_for_angles_only() -> None:
    code = """
        y = x / (x.std() + 1e-8)
        f = torch.einsum("i,j->ij", t, inv_freq)
    """
    assert lines(code, NONE) == [3]
