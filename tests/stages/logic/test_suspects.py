"""Lines are found by their text, quickly, and only where it could be what harms."""

from __future__ import annotations

import textwrap

import pytest

from stages.logic.suspects import Spoken, Suspects, suspects_of

HALF = Spoken(float16=True, low=True, pure=True)
NONE = Spoken(float16=False, low=False, pure=False)


def suspects(code: str, spoken: Spoken = HALF) -> Suspects:
    return suspects_of(("import torch\n" + textwrap.dedent(code).lstrip("\n")).encode(), spoken)


def lines(code: str, spoken: Spoken = HALF) -> list[int]:
    return sorted(suspects(code, spoken).lines)


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
        "t = torch.arange(n, device=x.device).to(x.dtype)",
        "scores = scores.masked_fill(mask == 0, -100000)",
        "y = replace_masked_values(x, mask.unsqueeze(2), -1e7)",
        "y = fill(softmax(x), mask, +1e7)",
        "scores[mask] = -1E9  # nothing is seen there",
        "y = x.log(); y = torch.softmax(x, -1).log()",
        "y = x / x.std().clamp_min(1.e-12)",
        "p = p.clamp(max=0.9999999)",
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
        "y = x.float() / (x.float().std() + 1e-8)",
        "# masked_fill(mask, -1e9)",
        "mask = 'https://images.org/mask-1108099.jpeg'",
        "mask_token_id: int = 151664",
        "p = p.clamp(max=1.5)",
        "t = torch.arange(n, dtype=position_ids.dtype)",
        "t = torch.arange(n).type_as(padding_mask)",
        "t = torch.arange(n).to(device=x.device)",
        "mask = [[0.0, -3.4e38], [0.0]]",
        "cos_theta = torch.mm(hidden_states, weight)",
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
    assert lines(code) == [4]


def test_name_that_is_only_handed_on_is_passed_over() -> None:
    code = """
        def normed(x, eps=1e-8):
            return layer_norm(x, eps=eps)
        def divided(x, y, eps=1e-8):
            return x / (y.std() + eps)
    """
    assert lines(code) == [5]


def test_function_that_asks_for_float32_first_is_passed_over() -> None:
    code = """
        def first(x):
            x = x.to(torch.float32)
            return x / (x.std() + 1e-8)
        def second(x):
            x = x / (x.std() + 1e-8)
            return x.float()
    """
    assert lines(code) == [6]


def test_names_of_numbers_that_every_digit_looks_like_are_read_closer() -> None:
    code = """
        mask, rate, version = 1e-3, 1e4, "20240229"
        x = x.masked_fill(mask, rate) + rate
        y = x / (x.std() + 1e-7)
    """
    assert lines(code) == []


@pytest.mark.parametrize(
    "code",
    [
        "loss = F.binary_cross_entropy(p, y)",
        "class Multiply(torch.autograd.Function):\n    def forward(ctx, x): ctx.save_for_backward(x)",
    ],
)
def test_file_with_what_rules_of_files_look_for_is_for_them(code: str) -> None:
    assert suspects(code) == Suspects(whole=True)


@pytest.mark.parametrize(
    "code",
    [
        "loss = F.binary_cross_entropy_with_logits(p, y)",
        "class Point(namedtuple('Function', 'x y')): save_for_backward = 0",
        "class Add(torch.autograd.Function):\n    def forward(ctx, x): return x",
        "class Multiply(torch.autograd.Function):\n    @custom_fwd\n    def forward(ctx, x): ctx.save_for_backward(x)",
    ],
)
def test_other_file_is_not_for_them(code: str) -> None:
    assert suspects(code) == Suspects()


def test_choice_of_a_parameter_is_one_of_types() -> None:
    assert suspects("y = torch.where(mask, x, self.token)") == Suspects(choices=True)
    assert suspects("y = torch.where(mask, x, y)") == Suspects()


def test_file_without_torch_is_not_looked_at() -> None:
    assert suspects_of(b"x = x / (x.std() + 1e-8)", HALF) == Suspects()


def test_project_that_speaks_of_no_half_precision_is_asked_for_angles_only() -> None:
    code = """
        y = x / (x.std() + 1e-8)
        f = torch.einsum("i,j->ij", t, inv_freq)
    """
    assert lines(code, NONE) == [3]
