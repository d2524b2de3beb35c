"""Each kind of fact by a program that has the trouble, and by its neighbour that has not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from tests.amp_runtime.instrument.deep.looking import facts, kinds, look

HALF, BRAIN = torch.float16, torch.bfloat16


def autocast(dtype=BRAIN, **settings):
    return torch.autocast("cpu", dtype=dtype, **settings)


def fp32_island(cast):
    h = torch.randn(4, 8, dtype=BRAIN)
    with autocast(), autocast(enabled=False):
        h = h.float() if cast else h
        return h * h


def loss_outside(function, cast):
    with autocast():
        logits = nn.Linear(8, 8)(torch.randn(4, 8))
    logits = logits.float() if cast else logits
    return function(logits)


def optimizer_inside(enabled):
    weight = nn.Parameter(torch.randn(8, 8))
    weight.grad = torch.randn(8, 8)

    class Matrix(torch.optim.Optimizer):
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data -= 0.1 * (parameter.grad @ parameter.grad)

    optimizer = Matrix([weight], {})
    with autocast(enabled=enabled):
        optimizer.step()


def step_of(dtype, lr):
    weight = nn.Parameter(torch.linspace(1, 2, 64).to(dtype))
    weight.grad = torch.full_like(weight, 1.0)
    torch.optim.SGD([weight], lr=lr).step()


def adam_with_half_eps(eps):
    weight = nn.Parameter(torch.ones(8, dtype=HALF))
    weight.grad = torch.full_like(weight, 1e-5)
    weight.grad[0] = 0.0
    torch.optim.Adam([weight], eps=eps, foreach=False).step()


def accumulate(total, value):
    for _ in range(3):
        total += value


def root_of_difference(subtracted):
    difference = torch.tensor([1.0], dtype=HALF) - subtracted
    return difference.sqrt()


def angles(dtype):
    positions = torch.arange(4096.0)[:, None].to(dtype)
    return (positions @ torch.ones(1, 2, dtype=dtype)).float().cos()


def refused(program):
    with pytest.raises(RuntimeError, match="without overflow"):
        program()


CASES = {
    "scalar-overflows": [
        (lambda: torch.randn(4, dtype=HALF) - 1e9, lambda: torch.randn(4, dtype=HALF) - 1e4),
        (lambda: torch.ones(4, dtype=HALF) * -1e9, lambda: torch.ones(4, dtype=BRAIN) * -1e9),
        (lambda: refused(lambda: torch.full((4,), -1e9, dtype=HALF)), lambda: torch.full((4,), -1e9)),
        (
            lambda: refused(lambda: torch.zeros(4, dtype=HALF).fill_(1e5)),
            lambda: torch.zeros(4, dtype=HALF).fill_(-float("inf")),
        ),
        (
            lambda: torch.where(torch.ones(4) > 0, torch.zeros(4, dtype=HALF), -1e9),
            lambda: torch.where(torch.ones(4) > 0, torch.zeros(4), -1e9),
        ),
        (
            lambda: torch.zeros(4, dtype=BRAIN) + torch.finfo(torch.float32).min,
            lambda: torch.zeros(4, dtype=BRAIN) + torch.finfo(BRAIN).min,
        ),
    ],
    "scalar-vanishes": [
        (lambda: torch.rand(4, dtype=HALF) + 1e-8, lambda: torch.rand(4, dtype=HALF) + 1e-3),
        (lambda: torch.rand(4, dtype=HALF).clamp(min=1e-8), lambda: torch.rand(4, dtype=BRAIN).clamp(min=1e-8)),
        (lambda: torch.rand(4, dtype=HALF) + 1e-6, lambda: torch.rand(4) + 1e-8),
        (lambda: torch.rand(4, dtype=HALF).clamp_(min=1e-8), lambda: torch.rand(4, dtype=HALF) * 1e-8),
    ],
    "scalar-becomes-one": [
        (lambda: torch.rand(4, dtype=HALF).clamp(max=1 - 1e-7), lambda: torch.rand(4, dtype=HALF).clamp(max=0.99)),
        (lambda: 1.001 - torch.rand(4, dtype=BRAIN), lambda: 1.0 - torch.rand(4, dtype=BRAIN)),
    ],
    "imprecise-integers": [
        (lambda: torch.arange(4096, dtype=HALF), lambda: torch.arange(2048, dtype=HALF)),
        (lambda: torch.arange(4096).to(BRAIN), lambda: torch.arange(200).to(BRAIN)),
        (lambda: torch.arange(4096).float().to(BRAIN), lambda: (torch.arange(4096).float() / 7).to(BRAIN)),
    ],
    "lost-additions": [
        (
            lambda: accumulate(torch.full((4,), 256.0, dtype=BRAIN), torch.full((4,), 0.7)),
            lambda: accumulate(torch.full((4,), 16.0, dtype=BRAIN), torch.full((4,), 0.7)),
        ),
        (
            lambda: torch.tensor(2048.0, dtype=HALF) + torch.tensor(0.5, dtype=HALF),
            lambda: torch.tensor(2048.0) + torch.tensor(0.5),
        ),
        (
            lambda: torch.ones(8, dtype=BRAIN).lerp_(torch.full((8,), 2.0, dtype=BRAIN), 1e-4),
            lambda: torch.ones(8, dtype=BRAIN).lerp_(torch.full((8,), 2.0, dtype=BRAIN), 0.1),
        ),
        (
            lambda: accumulate(torch.full((4,), 256.0, dtype=BRAIN), torch.full((4,), 0.7, dtype=BRAIN)),
            lambda: accumulate(torch.full((4,), 256.0, dtype=BRAIN), torch.zeros(4, dtype=BRAIN)),
        ),
    ],
    "inplace-downcast": [
        (
            lambda: torch.ones(4, dtype=HALF).add_(torch.ones(4)),
            lambda: torch.ones(4, dtype=HALF).add_(torch.ones(4, dtype=HALF)),
        ),
        (
            lambda: torch.ones(4, dtype=HALF)[:2].copy_(torch.tensor([1e-9, 7e4])),
            lambda: torch.ones(4, dtype=HALF)[:2].copy_(torch.tensor([1.0, 2.0])),
        ),
        (lambda: torch.ones(4, dtype=HALF).add_(torch.ones(4)), lambda: torch.ones(4, dtype=HALF) + torch.ones(4)),
    ],
    "lossy-cast": [
        (
            lambda: torch.tensor([1e5, 1e-9, 1.0], dtype=BRAIN).half(),
            lambda: torch.tensor([1e3, 0.0, float("inf")], dtype=BRAIN).half(),
        ),
    ],
    "imprecise-angle": [
        (lambda: (torch.arange(4096).float() * 0.3).to(BRAIN).sin(), lambda: torch.arange(4).float().to(BRAIN).sin()),
        (lambda: angles(BRAIN), lambda: angles(torch.float32)),
    ],
    "negative-root": [
        (lambda: root_of_difference(1.01), lambda: root_of_difference(0.99)),
        (lambda: torch.tensor([-1.0], dtype=HALF).rsqrt(), lambda: torch.tensor([-1.0]).rsqrt()),
    ],
    "half-in-fp32-region": [(lambda: fp32_island(cast=False), lambda: fp32_island(cast=True))],
    "half-loss-outside-autocast": [
        (
            lambda: loss_outside(lambda y: F.mse_loss(y, torch.zeros(4, 8, dtype=BRAIN)), cast=False),
            lambda: loss_outside(lambda y: F.mse_loss(y, torch.zeros(4, 8)), cast=True),
        ),
        (
            lambda: loss_outside(lambda y: nn.CrossEntropyLoss()(y, torch.zeros(4, dtype=torch.long)), cast=False),
            lambda: loss_outside(lambda y: nn.CrossEntropyLoss()(y, torch.zeros(4, dtype=torch.long)), cast=True),
        ),
    ],
    "optimizer-math-in-half": [(lambda: optimizer_inside(enabled=True), lambda: optimizer_inside(enabled=False))],
    "misaligned-matmul": [
        (lambda: torch.randn(8, 12, dtype=BRAIN) @ torch.randn(12, 8, dtype=BRAIN),
         lambda: torch.randn(8, 16, dtype=BRAIN) @ torch.randn(16, 8, dtype=BRAIN)),
        (lambda: torch.randn(8, 12, dtype=BRAIN) @ torch.randn(12, 8, dtype=BRAIN),
         lambda: torch.randn(8, 12) @ torch.randn(12, 8)),
    ],
    "frozen-elements": [
        (lambda: step_of(BRAIN, 1e-5), lambda: step_of(BRAIN, 0.1)),
        (lambda: step_of(HALF, 1e-5), lambda: step_of(torch.float32, 1e-5)),
    ],
    "nonfinite-parameter": [(lambda: adam_with_half_eps(1e-8), lambda: adam_with_half_eps(1e-3))],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "bad", "good"), [(kind, bad, good) for kind, pairs in CASES.items() for bad, good in pairs]
)
def test_the_trouble_is_told_and_its_neighbour_is_not(kind, bad, good):
    torch.manual_seed(0)
    record = look(bad)
    assert kind in kinds(record)
    assert all(fact.site.frame.path == __file__ for fact in facts(record, kind))
    assert kind not in kinds(look(good))


def test_a_constant_that_is_refused_is_told_although_the_operator_raises():
    scores = torch.randn(4, dtype=HALF)
    mask = torch.ones(4, dtype=torch.bool)

    def program():
        with pytest.raises(RuntimeError, match="overflow"):
            scores.masked_fill(mask, -1e9)

    (fact,) = facts(look(program), "scalar-overflows")
    assert fact.values["scalar"] == -1e9
    assert fact.site.operator == "aten.masked_fill"
    assert facts(look(lambda: scores.masked_fill(mask, -6e4)), "scalar-overflows") == []


def test_values_are_those_of_the_worst_occurrence_and_all_are_counted():
    def program():
        for size in (3000, 5000, 4000):
            torch.arange(size, dtype=HALF)

    (fact,) = facts(look(program), "imprecise-integers")
    assert (fact.count, fact.values) == (3, {"largest": 5000.0, "exact_to": 2048.0})
    assert fact.notes == {"dtype": "float16"}


def test_frozen_elements_are_told_by_parameter_with_their_share():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8, dtype=BRAIN))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def program():
        model(torch.randn(4, 8, dtype=BRAIN)).float().square().mean().backward()
        optimizer.step()

    found = {fact.notes["parameter"]: fact for fact in facts(look(program), "frozen-elements")}
    assert set(found) == {"0.weight", "0.bias"}
    assert found["0.weight"].values["share"] > 0.5
    assert found["0.weight"].site.phase == "optimizer"


def test_a_step_that_a_fused_optimizer_leaves_out_froze_nothing():
    weight = nn.Parameter(torch.ones(8, dtype=BRAIN))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)

    def program(factor):
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    assert facts(look(lambda: program(float("inf"))), "frozen-elements") == []
    assert torch.equal(weight, torch.ones_like(weight))
    assert look(lambda: program(1.0)).problems == ()
    assert not torch.equal(weight, torch.ones_like(weight))


def test_cancellation_under_a_root_shows_what_fp32_has_there():
    values = torch.linspace(100, 100.1, 16)

    def program():
        x = values.half()
        variance = (x * x).mean() - x.mean() ** 2
        variance.sqrt()

    (fact,) = facts(look(program), "negative-root")
    assert fact.values["low"] == -8.0
    assert fact.values["fp32_low"] == pytest.approx(0.0, abs=0.01)
