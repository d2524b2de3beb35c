"""AMP128 to 131, 140 and 141: steps that are left out, and what programs do with them."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program, watch


def _turn(made: Program, *, broken: bool = False) -> None:
    made.optimizer.zero_grad()
    loss = made.loss() * (math.inf if broken else 1.0)
    made.scaler.scale(loss).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()


@pytest.mark.parametrize("fused", [False, True])
def test_a_schedule_that_advances_in_every_turn(fused: bool) -> None:
    made = program()
    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01, fused=fused)
    schedule = torch.optim.lr_scheduler.LinearLR(made.optimizer)

    def train() -> None:
        for i in range(6):
            _turn(made, broken=i in (3, 5))
            schedule.step()

    alarm = only_alarm(train, "AMP128", "schedule.step()")
    assert alarm.values == {"turns": 4.0, "skipped": 1.0}
    assert alarm.count == 2


def test_a_schedule_that_advances_although_the_first_steps_are_left_out() -> None:
    made = program(init_scale=2.0**40)
    schedule = torch.optim.lr_scheduler.LinearLR(made.optimizer)

    def train() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch sees the first, and only the first
            for _ in range(3):
                _turn(made)
                schedule.step()

    only_alarm(train, "AMP128", "schedule.step()")


def test_a_schedule_that_waits_for_the_step() -> None:
    made = program()
    schedule = torch.optim.lr_scheduler.LinearLR(made.optimizer)

    def train() -> None:
        for i in range(5):
            before = made.scaler.get_scale()
            _turn(made, broken=i == 3)
            if made.scaler.get_scale() >= before:
                schedule.step()

    assert codes(train) == []


def test_a_schedule_of_epochs_whose_last_step_is_left_out() -> None:
    made = program()
    schedule = torch.optim.lr_scheduler.StepLR(made.optimizer, 1)

    def train() -> None:
        for _epoch in range(3):
            for i in range(3):
                _turn(made, broken=i == 2)
            schedule.step()

    assert codes(train) == []


def test_a_scale_that_falls_because_nothing_is_finite() -> None:
    made = program()

    def train() -> None:
        for i in range(12):
            _turn(made, broken=i > 0)

    (alarm,) = watch(train).alarms
    assert (alarm.code, alarm.step, alarm.values["skips"]) == ("AMP129", 9, 8.0)


def test_a_scale_below_one() -> None:
    made = program(init_scale=4.0)

    def train() -> None:
        for i in range(4):
            _turn(made, broken=i > 0)

    (alarm,) = watch(train).alarms
    assert (alarm.code, alarm.values) == ("AMP129", {"skips": 3.0, "scale": 0.5})


def test_a_scale_that_begins_too_high_comes_down() -> None:
    made = program(init_scale=2.0**60)

    def train() -> None:
        for _ in range(16):
            _turn(made)

    report = watch(train)
    assert report.watched.skipped_steps >= 8
    assert report.alarms == ()


def test_a_scale_that_grows_without_end() -> None:
    made = program()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**39, growth_interval=1)
    made.scaler = scaler
    small = made.inputs * 1e-6

    def train() -> None:
        for _ in range(4):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                out = made.model(small)
            scaler.scale((out.float() * 1e-12).sum()).backward()
            scaler.step(made.optimizer)
            scaler.update()

    assert only_alarm(train, "AMP130", "scaler.update()").values == {"scale": 2.0**41}


def test_steps_that_are_left_out_again_and_again() -> None:
    made = program(init_scale=2.0**14)

    def train() -> None:
        for i in range(121):
            _turn(made, broken=i % 10 == 9)

    report = watch(train)
    (alarm,) = report.alarms
    assert alarm.code == "AMP131"
    assert alarm.values["share"] == pytest.approx(0.1, abs=0.01)


def test_steps_that_growth_costs() -> None:
    made = program()
    made.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=15)

    def train() -> None:
        for i in range(130):
            _turn(made, broken=i % 15 == 14)

    assert codes(train) == []


def test_faults_that_were_planted_are_not_the_programs() -> None:
    from amp_runtime.instrument.faults import Plan

    made = program()
    sanitizer = Sanitizer(faults=Plan(overflow_at=2, nan_batch_at=3))
    with sanitizer:
        for _ in range(5):
            _turn(made)
    report = sanitizer.report()
    assert [one.planted for one in report.timeline] == ["", "overflow", "nan-batch", "", ""]
    assert report.alarms == ()


@pytest.mark.parametrize("overflows", [False, True])
def test_a_clip_that_raises(overflows: bool) -> None:
    made = program(init_scale=2.0**40 if overflows else 1024.0)

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0, error_if_nonfinite=True)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    only_alarm(train, "AMP140", "error_if_nonfinite")


def test_a_clip_that_raises_without_a_scaler() -> None:
    made = program()

    def train() -> None:
        made.loss(torch.bfloat16).backward()
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0, error_if_nonfinite=True)
        made.optimizer.step()

    assert codes(train) == []


def test_anomaly_detection() -> None:
    made = program()
    before = torch.is_anomaly_enabled()

    def train() -> None:
        torch.autograd.set_detect_anomaly(True)
        _turn(made)

    try:
        only_alarm(train, "AMP141", "set_detect_anomaly")
    finally:
        torch.autograd.set_detect_anomaly(before)


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_anomaly_detection_that_does_not_look_for_nan_or_at_a_scaled_loss() -> None:
    made = program()

    def train() -> None:
        with torch.autograd.detect_anomaly(check_nan=False):
            _turn(made)
        with torch.autograd.detect_anomaly():
            made.loss(torch.bfloat16).backward()

    assert codes(train) == []
