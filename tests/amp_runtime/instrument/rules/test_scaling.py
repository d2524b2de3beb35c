"""AMP103 to 107 and 111 to 115, 126: what gradients carry when they are clipped, unscaled and used."""

from __future__ import annotations

import pytest
import torch

from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program


def _finish(made: Program) -> None:
    made.scaler.step(made.optimizer)
    made.scaler.update()


@pytest.mark.parametrize("by_value", [False, True])
def test_clipping_before_unscale(by_value: bool) -> None:
    made = program()
    clip = torch.nn.utils.clip_grad_value_ if by_value else torch.nn.utils.clip_grad_norm_

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            clip(made.model.parameters(), 0.5)
            _finish(made)

    alarm = only_alarm(train, "AMP103", "clip(made")
    assert alarm.values["scale"] == 1024.0
    assert alarm.values["limit"] == 0.5


def test_clipping_after_unscale_with_an_overflow() -> None:
    made = program(init_scale=2.0**40)

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 0.5)
            _finish(made)

    assert codes(train) == []


def test_clipping_what_was_unscaled_in_part() -> None:
    made, other = program(), program()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            other.optimizer.zero_grad()
            made.scaler.scale(made.loss() + other.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            torch.nn.utils.clip_grad_norm_([*made.model.parameters(), *other.model.parameters()], 1.0)
            made.scaler.step(other.optimizer)
            _finish(made)

    alarm = only_alarm(train, "AMP104", "clip_grad_norm_")
    assert (alarm.values["scaled"], alarm.values["gradients"], alarm.values["scale"]) == (4, 8, 1024)


@pytest.mark.parametrize("kind", ["plain", "fused", "adam"])
def test_a_backward_without_scale(kind: str) -> None:
    made = program(adam=kind == "adam")
    if kind == "fused":
        made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01, fused=True)

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            loss = made.loss()
            made.scaler.scale(loss)
            loss.backward()
            _finish(made)

    assert only_alarm(train, "AMP105", "loss.backward()").values == {"scale": 1024.0}


@pytest.mark.parametrize("explicit", [False, True])
def test_a_backward_without_scale_and_a_scaler_that_never_scaled(explicit: bool) -> None:
    made = program()

    def train() -> None:
        loss = made.loss()
        loss.backward()
        if explicit:
            made.scaler.unscale_(made.optimizer)
        made.scaler.step(made.optimizer)

    only_alarm(train, "AMP105", "loss.backward()")


def test_a_part_of_the_loss_is_not_scaled() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            penalty = sum(p.pow(2).sum() for p in made.model.parameters())
            (made.scaler.scale(made.loss()) + 0.1 * penalty).backward()
            _finish(made)

    alarm = only_alarm(train, "AMP106", ".backward()")
    assert "all 4 gradients" in alarm.message
    assert "1/1024" in alarm.message


@pytest.mark.parametrize("plain_first", [False, True])
def test_a_second_backward_that_is_not_scaled(plain_first: bool) -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            if not plain_first:
                made.scaler.scale(made.loss()).backward()
            penalty = made.model[0].weight.pow(2).sum()
            penalty.backward()
            if plain_first:
                made.scaler.scale(made.loss()).backward()
            _finish(made)

    assert "1 of 4 gradients" in only_alarm(train, "AMP106", "penalty.backward()").message


def test_a_part_that_is_added_after_unscale() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            made.model[0].weight.pow(2).sum().backward()
            _finish(made)

    assert codes(train) == []


def test_a_loss_that_is_scaled_twice() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            loss = made.scaler.scale(made.loss())
            made.scaler.scale(loss).backward()  # again
            _finish(made)

    assert only_alarm(train, "AMP107", "# again").values == {"scale": 1024.0**2}


def test_a_scaled_loss_that_is_divided() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            for _micro in range(2):
                (made.scaler.scale(made.loss()) / 2).backward()
            _finish(made)

    assert codes(train) == []


@pytest.mark.parametrize("every", [False, True])
def test_unscale_in_an_accumulation(every: bool) -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            for micro in range(3):
                made.scaler.scale(made.loss() / 3).backward()
                if every or micro == 0:
                    made.scaler.unscale_(made.optimizer)
            _finish(made)

    assert only_alarm(train, "AMP111", "scaler.unscale_(").values == {"scale": 1024.0}


def test_unscale_and_update_in_every_micro_batch() -> None:
    made = program()

    def train() -> None:
        for i in range(4):
            made.scaler.scale(made.loss() / 2).backward()
            made.scaler.unscale_(made.optimizer)
            if i % 2:
                made.scaler.step(made.optimizer)
                made.optimizer.zero_grad()
            made.scaler.update()

    assert "once more" in only_alarm(train, "AMP112", "scaler.unscale_(").message


@pytest.mark.parametrize("zero_last", [False, True])
def test_a_turn_that_is_left_after_unscale(zero_last: bool) -> None:
    made = program()

    def train() -> None:
        for i in range(4):
            if not zero_last:
                made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            if i == 1:
                continue
            _finish(made)
            if zero_last:
                made.optimizer.zero_grad()

    assert "a turn ended" in only_alarm(train, "AMP113", "scaler.unscale_(").message.lower()


def test_a_turn_that_is_left_after_unscale_with_an_update() -> None:
    made = program()

    def train() -> None:
        for i in range(4):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            if i != 1:
                made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []


def test_unscale_twice() -> None:
    made = program()

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.unscale_(made.optimizer)
        made.scaler.unscale_(made.optimizer)  # raises

    only_alarm(train, "AMP114", "# raises")


def test_unscale_after_the_step() -> None:
    made = program()

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(made.optimizer)
        made.scaler.unscale_(made.optimizer)

    only_alarm(train, "AMP114", "scaler.unscale_(")


class Wrapper:
    """Looks like an optimizer, and hands on to one."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups

    def step(self) -> None:
        self.optimizer.step()


def test_unscale_of_an_optimizer_and_a_step_of_its_wrapper() -> None:
    made = program()
    wrapper = Wrapper(made.optimizer)

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            made.scaler.step(wrapper)
            made.scaler.update()

    alarm = only_alarm(train, "AMP115", "scaler.step(wrapper)")
    assert "Wrapper" in alarm.message
    assert "all 4 gradients" in alarm.message


def test_the_wrapper_in_both_places() -> None:
    made = program()
    wrapper = Wrapper(made.optimizer)

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(wrapper)
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.scaler.step(wrapper)
            made.scaler.update()

    assert codes(train) == []


@pytest.mark.parametrize("by_module", [False, True])
def test_gradients_cleared_between_unscale_and_step(by_module: bool) -> None:
    made = program()
    owner: torch.nn.Module | torch.optim.Optimizer = made.model if by_module else made.optimizer

    def train() -> None:
        for _ in range(2):
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            owner.zero_grad()
            _finish(made)

    assert only_alarm(train, "AMP126", "owner.zero_grad()").values == {"parameters": 4.0}


def test_gradients_cleared_where_the_step_is_left_out() -> None:
    made = program()

    def train() -> None:
        for i in range(4):
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            if i == 1:
                made.optimizer.zero_grad()
                made.scaler.update()
                continue
            _finish(made)
            made.optimizer.zero_grad()

    assert codes(train) == []


def test_zero_grad_is_forgotten() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            _finish(made)

    assert codes(train) == []  # a bug, but in every precision
