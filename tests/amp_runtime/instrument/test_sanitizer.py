"""The sanitizer watches a training from outside, changes none of its numbers, and leaves nothing behind."""

from __future__ import annotations

import threading

import pytest
import torch

from amp_runtime.instrument.sanitizer import Sanitizer, all_checks, amp_sanitizer
from tests.amp_runtime.instrument.watching import Program, line_of, program, watch


def _good(made: Program, steps: int = 5) -> None:
    for _ in range(steps):
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss()).backward()
        made.scaler.unscale_(made.optimizer)
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
        made.scaler.step(made.optimizer)
        made.scaler.update()


def test_a_right_training_is_silent_and_its_steps_are_counted() -> None:
    report = watch(lambda: _good(program()))
    assert report.alarms == ()
    assert (report.watched.steps, report.watched.optimizer_steps, report.watched.scalers) == (5, 5, 1)
    assert report.watched.autocast == {"cpu float16": 5}
    assert [seen.scale for seen in report.timeline] == [1024.0] * 5


def test_the_loss_of_the_timeline_is_the_one_without_the_scale() -> None:
    made = program()
    first = float(made.loss().detach())
    report = watch(lambda: _good(made))
    assert report.timeline[0].loss == pytest.approx(first, rel=1e-3)
    losses = [seen.loss for seen in report.timeline]
    assert losses == sorted(losses, reverse=True)


def test_it_changes_no_number_of_the_program() -> None:
    plain, watched = program(adam=True), program(adam=True)
    _good(plain)
    watch(lambda: _good(watched))
    for one, other in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_left_behind_in_torch() -> None:
    owners = [
        (torch.amp.autocast_mode.autocast, "__enter__"),
        (torch.amp.GradScaler, "step"),
        (torch.autograd, "backward"),
        (torch.nn.utils, "clip_grad_value_"),
        (torch.nn.utils.clip_grad, "_clip_grads_with_norm_"),
        (torch.optim.Optimizer, "load_state_dict"),
        (torch, "save"),
    ]
    before = [getattr(owner, name) for owner, name in owners]
    watch(lambda: _good(program()))
    assert [getattr(owner, name) for owner, name in owners] == before
    assert "step" not in vars(torch.optim.lr_scheduler.StepLR)
    again = watch(lambda: _good(program()))
    assert again.watched.steps == 5


def test_two_at_once_are_refused() -> None:
    with amp_sanitizer(), pytest.raises(RuntimeError, match="already being watched"):
        Sanitizer().start()
    with amp_sanitizer():
        pass


def test_an_alarm_names_the_line_the_step_and_the_values() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 0.5)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    (alarm,) = watch(train).alarms
    assert (alarm.code, alarm.step, alarm.last_step, alarm.count) == ("AMP103", 1, 3, 3)
    assert alarm.frames[-1].path == __file__
    assert alarm.frames[-1].line == line_of(train, "clip_grad_norm_")
    assert alarm.values["scale"] == 1024.0
    assert alarm.values["true_norm"] == pytest.approx(alarm.values["norm"] / 1024)


def test_several_optimizers_make_one_step() -> None:
    first, second = program(), program()

    def train() -> None:
        for _ in range(4):
            for made in (first, second):
                made.optimizer.zero_grad()
                made.scaler.scale(made.loss()).backward()
                made.scaler.step(made.optimizer)
                made.scaler.update()

    report = watch(train)
    assert report.alarms == ()
    assert report.watched.optimizer_steps == 8
    assert report.watched.steps == 5  # the first, before the second optimizer was known, is one of its own


def test_accumulated_losses_of_one_step_add_up() -> None:
    made = program()
    mean = float(made.loss().detach())

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            for _micro in range(4):
                made.scaler.scale(made.loss() / 4).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    report = watch(train)
    assert (report.watched.backwards, report.watched.steps) == (8, 2)
    assert report.timeline[0].loss == pytest.approx(mean, rel=1e-3)


def test_a_skipped_step_is_told() -> None:
    made = program(init_scale=2.0**40)
    report = watch(lambda: _good(made, steps=3))
    assert report.watched.skipped_steps == 3
    assert all(seen.skipped for seen in report.timeline)
    assert report.alarms == ()


def test_other_threads_and_forked_workers_disturb_nothing() -> None:
    made = program()
    data = torch.utils.data.TensorDataset(torch.randn(8, 8))

    def train() -> None:
        loader = torch.utils.data.DataLoader(data, batch_size=2, num_workers=1)
        thread = threading.Thread(target=made.loss)
        thread.start()
        thread.join()
        for _batch in loader:
            _good(made, steps=1)

    report = watch(train)
    assert (report.alarms, report.problems, report.watched.steps) == ((), (), 4)


def test_a_program_that_replaces_what_we_listen_to_is_told_on() -> None:
    def train() -> None:
        torch.autograd.backward = lambda *_args, **_kwargs: None

    original = torch.autograd.backward
    try:
        report = watch(train)
    finally:
        torch.autograd.backward = original
    (problem,) = report.problems
    assert "torch.autograd.backward" in problem


def test_every_check_has_a_code_of_its_own() -> None:
    found = [check.code for check in all_checks()]
    assert found == sorted(set(found))
    assert len(found) >= 2


def test_a_scaler_of_a_class_that_comes_later_is_heard() -> None:
    made = program()

    def train() -> None:
        class Own(torch.amp.GradScaler):
            def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
                super().unscale_(optimizer)

            def update(self, new_scale: float | None = None) -> None:
                super().update(new_scale)

        made.scaler = Own("cpu", init_scale=256.0)
        _good(made)

    report = watch(train)
    assert (report.alarms, report.watched.steps, report.watched.events["Unscaled"]) == ((), 5, 5)
