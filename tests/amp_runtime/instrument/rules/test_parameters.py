"""AMP401, 402, 404 to 408: in which type parameters, moments and averages are kept."""

from __future__ import annotations

import copy

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    dtype = next(model.parameters()).dtype
    model(X.to(dtype)).float().square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def _scaled(made: Program) -> None:
    made.scaler.scale(made.loss()).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()
    made.optimizer.zero_grad()


def test_a_half_model_with_a_scaler() -> None:
    made = program()

    def train() -> None:
        made.model.half()
        _scaled(made)

    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)
    alarm = only_alarm(train, "AMP401", "made.model.half()")
    assert alarm.values == {"float16": 4.0}


def test_a_half_base_that_is_frozen_is_fine() -> None:
    made = program()
    made.model[0].half()
    made.model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(made.model[2].parameters(), lr=0.1)

    def train() -> None:
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(optimizer)
        made.scaler.update()

    silent(train)


def test_a_fused_optimizer_of_a_half_model() -> None:
    made = program()
    made.model.half()
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3, fused=True)

    def train() -> None:
        for _ in range(2):
            made.scaler.scale(made.loss()).backward()
            made.scaler.step(optimizer)
            made.scaler.update()

    alarm = only_alarm(train, "AMP402", "made.scaler.step")
    assert alarm.values == {"float16": 4.0}


def test_a_fused_optimizer_of_a_float32_model_is_fine() -> None:
    made = program()
    made.optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3, fused=True)
    silent(lambda: [_scaled(made) for _ in range(2)], "AMP402")


def test_adam_whose_eps_vanishes() -> None:
    model = program().model.half()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=False)

    def train() -> None:
        (model(1e-3 * X.half()).mean() * 1e-3).backward()
        optimizer.step()

    alarm = only_alarm(train, "AMP404", "optimizer.step()")
    assert alarm.values["nonfinite"] > 0
    assert alarm.values["eps"] == 1e-8


def test_adam_with_a_larger_eps_is_fine() -> None:
    model = program().model.half()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4, fused=False)
    silent(lambda: _step(model, optimizer))


def test_a_round_trip_through_half() -> None:
    made = program()

    def train() -> None:
        _step(made.model, made.optimizer)
        made.model.half().state_dict()
        made.model.float()
        _step(made.model, made.optimizer)

    alarm = only_alarm(train, "AMP405", "made.model.half()")
    assert (alarm.step, alarm.values) == (2, {"rounded": 4.0})


def test_casts_of_a_copy_or_before_and_after_the_training_are_fine() -> None:
    made = program()

    def train() -> None:
        made.model.half().float()
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)
        for _ in range(2):
            _step(made.model, optimizer)
            copy.deepcopy(made.model).half().state_dict()
        made.model.half().state_dict()

    silent(train, "AMP405")


def test_a_cast_after_the_optimizer_was_made() -> None:
    made = program()

    def train() -> None:
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1, momentum=0.9, foreach=False)
        _step(made.model, optimizer)
        made.model.to(torch.bfloat16)
        _step(made.model, optimizer)

    alarm = only_alarm(train, "AMP406", "made.model.to(")
    assert alarm.values == {"changed": 4.0, "states": 4.0}


def test_a_cast_before_the_optimizer_is_made_is_fine() -> None:
    made = program()

    def train() -> None:
        made.model.to(torch.bfloat16)
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            _step(made.model, optimizer)

    silent(train, "AMP406")


def test_moments_that_are_cast_when_they_are_loaded() -> None:
    full, half = program(adam=True), program(adam=True)
    _step(full.model, full.optimizer)
    half.model.to(torch.bfloat16)
    optimizer = torch.optim.Adam(half.model.parameters())

    def train() -> None:
        optimizer.load_state_dict(full.optimizer.state_dict())

    alarm = only_alarm(train, "AMP407", "load_state_dict")
    assert alarm.values == {"cast": 8.0, "moments": 8.0}


def test_moments_of_the_type_of_their_parameters_are_fine() -> None:
    full, other = program(adam=True), program(adam=True)
    _step(full.model, full.optimizer)
    silent(lambda: other.optimizer.load_state_dict(full.optimizer.state_dict()), "AMP407")


def _average(copied: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for average, weight in zip(copied.parameters(), model.parameters(), strict=True):
            average.mul_(decay).add_(weight, alpha=1 - decay)


def test_an_average_in_half() -> None:
    made = program(lr=0.01)
    made.model.to(torch.bfloat16)
    optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)

    def train() -> None:
        average = copy.deepcopy(made.model)
        for _ in range(6):
            _step(made.model, optimizer)
            _average(average, made.model, 0.9999)

    alarm = only_alarm(train, "AMP408", "copy.deepcopy")
    assert alarm.values["moved"] <= 0.01


def test_an_averaged_model_in_half() -> None:
    made = program()
    made.model.to(torch.bfloat16)
    optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)

    def train() -> None:
        average = AveragedModel(made.model, multi_avg_fn=get_ema_multi_avg_fn(0.9999))
        for _ in range(8):
            _step(made.model, optimizer)
            average.update_parameters(made.model)

    only_alarm(train, "AMP408", "AveragedModel(")


def test_an_average_in_float32_and_a_copy_that_is_replaced_are_fine() -> None:
    made = program()
    made.model.to(torch.bfloat16)
    optimizer = torch.optim.SGD(made.model.parameters(), lr=0.1)

    def train() -> None:
        average, target = copy.deepcopy(made.model).float(), copy.deepcopy(made.model)
        for _ in range(8):
            _step(made.model, optimizer)
            _average(average, made.model, 0.9999)
            target.load_state_dict(made.model.state_dict())
            _step(made.model, optimizer)

    silent(train)
