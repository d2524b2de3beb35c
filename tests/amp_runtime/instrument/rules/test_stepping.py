"""AMP101, 102, 108, 109, 110, 116, 117, 118, 127 and 143: who steps, when, and through which scaler."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.amp_runtime.instrument.watching import codes, only_alarm, program, watch


def test_a_step_past_the_scaler() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.optimizer.step()

    alarm = only_alarm(train, "AMP101", "optimizer.step()")
    assert alarm.values == {"scale": 1024.0}
    assert alarm.count == 3


def test_a_step_past_the_scaler_that_ends_in_its_update() -> None:
    made = program()

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.optimizer.step()
        made.scaler.update()  # raises

    only_alarm(train, "AMP101", "optimizer.step()")


def test_a_step_past_the_scaler_that_unscaled() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.optimizer.step()
            made.scaler.update()

    assert "not skipped" in only_alarm(train, "AMP101", "optimizer.step()").message


@pytest.mark.parametrize("update_first", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_second_step_past_the_scaler(update_first: bool, fused: bool) -> None:
    made = program(init_scale=2.0**14)
    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01, fused=fused)

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.step(made.optimizer)
            if update_first:
                made.scaler.update()
            made.optimizer.step()
            if not update_first:
                made.scaler.update()

    alarm = only_alarm(train, "AMP102", "made.optimizer.step()")
    assert alarm.values == {"skipped": 0.0}


def test_a_second_step_after_a_skipped_one() -> None:
    made = program(init_scale=2.0**40)

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(made.optimizer)
        made.optimizer.step()
        made.scaler.update()

    alarm = only_alarm(train, "AMP102", "made.optimizer.step()")
    assert alarm.values == {"skipped": 1.0}
    assert "not finite" in alarm.message


@pytest.mark.parametrize("explicit", [False, True])
def test_an_update_that_is_missing(explicit: bool) -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            if explicit:
                made.scaler.unscale_(made.optimizer)
            made.scaler.step(made.optimizer)

    only_alarm(train, "AMP108", "scaler.step(")


@pytest.mark.parametrize("explicit", [False, True])
def test_an_update_before_the_step(explicit: bool) -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            if explicit:
                made.scaler.unscale_(made.optimizer)
            made.scaler.update()
            made.scaler.step(made.optimizer)

    only_alarm(train, "AMP109", "scaler.update()")


def test_an_update_in_every_micro_batch() -> None:
    made = program()

    def train() -> None:
        for i in range(4):
            made.scaler.scale(made.loss() / 2).backward()
            if i % 2:
                made.scaler.step(made.optimizer)
                made.optimizer.zero_grad()
            made.scaler.update()

    only_alarm(train, "AMP109", "scaler.update()")


def test_an_update_between_two_steps() -> None:
    first, second = program(), program()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)

    def train() -> None:
        for _ in range(2):
            first.optimizer.zero_grad()
            second.optimizer.zero_grad()
            scaler.scale(first.loss()).backward()
            scaler.scale(second.loss()).backward()
            scaler.step(first.optimizer)
            scaler.update()  # between
            scaler.step(second.optimizer)
            scaler.update()

    alarm = only_alarm(train, "AMP110", "# between")
    assert alarm.values == {"scale": 1024.0, "divided_by": 2048.0}


def test_turns_of_several_optimizers_one_after_the_other() -> None:
    critic, generator = program(), program(adam=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)

    def train() -> None:
        for _ in range(4):
            critic.optimizer.zero_grad()
            scaler.scale(critic.loss()).backward()
            scaler.step(critic.optimizer)
            scaler.update()
            generator.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                both = critic.model(generator.inputs) + generator.model(generator.inputs)
            scaler.scale(both.float().mean()).backward()  # reaches the critic, too
            scaler.step(generator.optimizer)
            scaler.update()

    assert codes(train) == []


def test_two_optimizers_with_one_update() -> None:
    first, second = program(), program()

    def train() -> None:
        for _ in range(3):
            for made in (first, second):
                made.optimizer.zero_grad()
            first.scaler.scale(first.loss() + second.loss()).backward()
            first.scaler.unscale_(first.optimizer)
            first.scaler.unscale_(second.optimizer)
            torch.nn.utils.clip_grad_norm_([*first.model.parameters(), *second.model.parameters()], 1.0)
            first.scaler.step(first.optimizer)
            first.scaler.step(second.optimizer)
            first.scaler.update()

    assert codes(train) == []


def test_a_closure() -> None:
    made = program()
    lbfgs = torch.optim.LBFGS(made.model.parameters(), lr=0.01)

    def closure() -> torch.Tensor:
        lbfgs.zero_grad()
        loss = made.loss()
        made.scaler.scale(loss).backward()
        return loss

    def train() -> None:
        for _ in range(2):
            closure()
            made.scaler.step(lbfgs, closure)
            made.scaler.update()

    assert only_alarm(train, "AMP116", "scaler.step(").values["scale"] == 1024.0


def test_a_closure_by_keyword() -> None:
    made = program()

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(made.optimizer, closure=lambda: 0.0)  # raises

    assert "refuses" in only_alarm(train, "AMP116", "scaler.step(").message


def test_no_closure() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.step(made.optimizer, None)
            made.scaler.update()

    assert codes(train) == []


def test_another_scaler_steps() -> None:
    made, other = program(), torch.amp.GradScaler("cpu", init_scale=64.0)
    other.scale(torch.ones(()))

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            other.step(made.optimizer)
            other.update()

    alarm = only_alarm(train, "AMP117", "other.step(")
    assert alarm.values == {"scale": 1024.0, "divided_by": 64.0}


def test_another_scaler_steps_that_never_scaled() -> None:
    made, other = program(), torch.amp.GradScaler("cpu")

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        other.step(made.optimizer)  # raises

    only_alarm(train, "AMP117", "other.step(")


def test_a_scaler_made_anew_in_every_turn() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
            made.optimizer.zero_grad()
            scaler.scale(made.loss()).backward()
            scaler.step(made.optimizer)
            scaler.update()

    alarm = only_alarm(train, "AMP118", "GradScaler(")
    assert alarm.values == {"updates": 1.0, "scale": 512.0}


def test_a_scaler_for_each_fold() -> None:
    def train() -> None:
        for _fold in range(3):
            made = program()
            scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
            for _ in range(2):
                made.optimizer.zero_grad()
                scaler.scale(made.loss()).backward()
                scaler.step(made.optimizer)
                scaler.update()

    assert codes(train) == []


@pytest.mark.parametrize("fused", [False, True])
def test_an_optimizer_without_gradients(fused: bool) -> None:
    made, unused = program(), torch.nn.Linear(2, 2)
    idle = torch.optim.SGD(unused.parameters(), lr=0.1, fused=fused)

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(idle)
        made.scaler.update()

    assert "gradient" in only_alarm(train, "AMP127", "scaler.step(").message


def test_a_step_in_a_hook_of_the_backward() -> None:
    made = program()
    optimizers: dict[Any, torch.optim.Optimizer] = {p: torch.optim.SGD([p], lr=1e-9) for p in made.model.parameters()}

    def hook(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in made.model.parameters():
        parameter.register_post_accumulate_grad_hook(hook)

    def train() -> None:
        for _ in range(2):
            made.scaler.scale(made.loss()).backward()
            made.scaler.update()  # raises

    report = watch(train)
    (alarm,) = report.alarms
    assert (alarm.code, alarm.frames[-1].function.split(".")[-1]) == ("AMP143", "hook")
    assert alarm.values == {"scale": 1024.0}


def test_a_step_through_the_scaler_in_a_hook() -> None:
    made = program()
    last = next(made.model.parameters())
    others = list(made.model.parameters())[1:]
    optimizer = torch.optim.SGD([last], lr=0.01)
    rest = torch.optim.SGD(others, lr=0.01)

    def hook(_parameter: torch.Tensor) -> None:
        made.scaler.step(optimizer)

    last.register_post_accumulate_grad_hook(hook)

    def train() -> None:
        for _ in range(3):
            optimizer.zero_grad()
            rest.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.step(rest)
            made.scaler.update()

    assert codes(train) == []
