"""Planted faults: a healthy program skips, backs off and recovers; what broke is put right again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from amp_runtime.instrument.faults import Plan
from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import Program, program

if TYPE_CHECKING:
    from amp_runtime.instrument.records import SanitizerReport

PLAN = Plan(overflow_at=2, nan_batch_at=4)


def run(train: Callable[[], object], plan: Plan = PLAN) -> SanitizerReport:
    with Sanitizer(faults=plan) as watching:
        train()
    return watching.report()


def steps(made: Program, count: int = 6, dtype: torch.dtype = torch.float16) -> None:
    for _ in range(count):
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss(dtype)).backward()
        made.scaler.step(made.optimizer)
        made.scaler.update()


def finite(model: torch.nn.Module) -> bool:
    return all(bool(one.isfinite().all()) for one in model.state_dict().values())


def test_a_healthy_program_skips_both_and_goes_on() -> None:
    made = program()
    report = run(lambda: steps(made))
    assert [(seen.step, seen.planted) for seen in report.timeline if seen.skipped] == [
        (2, "overflow"),
        (4, "nan-batch"),
    ]
    assert [seen.scale for seen in report.timeline] == [1024.0, 512.0, 512.0, 256.0, 256.0, 256.0]
    losses = [seen.loss for seen in report.timeline]
    assert losses[3] is not None
    assert math.isnan(losses[3])
    assert all(loss is not None and math.isfinite(loss) for loss in (*losses[:3], *losses[4:]))
    assert finite(made.model)
    assert (report.alarms, report.problems, report.watched.skipped_steps) == ((), (), 0)


def test_parameters_do_not_move_in_a_planted_step() -> None:
    made, seen = program(), []

    def train() -> None:
        for _ in range(5):
            before = [one.detach().clone() for one in made.model.parameters()]
            steps(made, 1)
            pairs = zip(before, made.model.parameters(), strict=True)
            seen.append(all(torch.equal(one, other) for one, other in pairs))

    run(train)
    assert seen == [False, True, False, True, False]


def test_token_numbers_get_their_nan_in_the_first_activation() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(7, 8), torch.nn.Linear(8, 1))
    made = Program(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        scaler=torch.amp.GradScaler("cpu", init_scale=256.0),
        inputs=torch.randint(7, (4,)),
        targets=torch.randn(4, 1),
    )
    report = run(lambda: steps(made))
    assert [seen.planted for seen in report.timeline] == ["", "overflow", "", "nan-batch", "", ""]
    assert finite(model)


def test_what_a_program_without_protection_breaks_is_put_right_and_said() -> None:
    made = program()

    def train() -> None:
        for _ in range(6):
            made.optimizer.zero_grad()
            made.loss(torch.bfloat16).backward()
            made.optimizer.step()

    report = run(train)
    assert len(report.problems) == 2
    assert "after the planted overflow" in report.problems[0]
    assert finite(made.model)
    assert math.isfinite(report.timeline[-1].loss or math.nan)


def test_float32_training_is_left_alone_and_that_is_said() -> None:
    made = program()

    def train() -> None:
        for _ in range(5):
            made.optimizer.zero_grad()
            torch.nn.functional.mse_loss(made.model(made.inputs), made.targets).backward()
            made.optimizer.step()

    report = run(train)
    assert {seen.planted for seen in report.timeline} == {""}
    assert report.problems == ("not planted: overflow, nan-batch; the run has shown nothing about such a step",)


def test_evaluation_before_the_step_gets_no_nan() -> None:
    made, seen = program(), []

    def train() -> None:
        for _ in range(6):
            made.model.eval()
            with torch.no_grad():
                seen.append(bool(made.model(made.inputs).isfinite().all()))
            made.model.train()
            steps(made, 1)

    run(train)
    assert seen == [True] * 6


@pytest.mark.parametrize("wrong", [{"overflow_at": 0}, {"nan_batch_at": True}, {"overflow_at": 3, "nan_batch_at": 3}])
def test_a_plan_that_says_nothing_clear_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="step"):
        Plan(**wrong)
