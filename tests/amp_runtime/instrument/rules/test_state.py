"""AMP409 to 413 and 415: buffers, mixed and changed types, and steps that nothing guards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program


def _with_norm() -> Program:
    made = program()
    torch.manual_seed(0)
    made.model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 1))
    made.model.register_buffer("mask", torch.full((2, 2), -math.inf))
    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01)
    return made


def _scaled(made: Program, inputs: torch.Tensor | None = None) -> None:
    made.inputs = made.inputs if inputs is None else inputs
    made.scaler.scale(made.loss()).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()
    made.optimizer.zero_grad()


def test_an_overflow_that_poisons_running_statistics() -> None:
    made = _with_norm()
    good, huge = made.inputs, torch.full((4, 8), 1e30)

    def train() -> None:
        for inputs in (good, huge, good):
            made.scaler.scale(_loss_of(made, inputs)).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()
            made.optimizer.zero_grad()

    alarm = only_alarm(train, "AMP409", "made.scaler.step")
    assert alarm.values == {"poisoned": 2.0, "buffers": 2.0}
    assert alarm.step == 2
    assert "1.running_mean" in alarm.message


def _loss_of(made: Program, inputs: torch.Tensor) -> torch.Tensor:
    made.inputs = inputs
    return made.loss()


def test_an_overflow_of_the_gradients_alone_leaves_buffers_fine() -> None:
    made = _with_norm()
    made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    silent(lambda: [_scaled(made) for _ in range(3)], "AMP409")


def test_buffers_that_are_put_back_are_fine() -> None:
    made = _with_norm()
    good, huge = made.inputs, torch.full((4, 8), 1e30)

    def train() -> None:
        for inputs in (good, huge, good):
            kept = {name: buffer.clone() for name, buffer in made.model.named_buffers()}
            loss = _loss_of(made, inputs)
            made.scaler.scale(loss).backward()
            if not torch.isfinite(loss):
                made.model.load_state_dict(kept, strict=False)
            made.scaler.step(made.optimizer)
            made.scaler.update()
            made.optimizer.zero_grad()

    silent(train, "AMP409")


def _plain(made: Program, optimizer: torch.optim.Optimizer) -> None:
    dtype = next(made.model.parameters()).dtype
    made.model(made.inputs.to(dtype)).float().square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_batch_normalization_in_half() -> None:
    made = _with_norm()

    def train() -> None:
        made.model.to(torch.bfloat16)
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01)
        _plain(made, optimizer)

    alarm = only_alarm(train, "AMP410", "made.model.to(")
    assert "1 of 1 batch normalizations are bfloat16, such as 1:" in alarm.message


def test_batch_normalization_under_autocast_is_fine() -> None:
    silent(lambda: _scaled(_with_norm()), "AMP410")


def test_weights_of_two_types_in_one_optimizer() -> None:
    made = program()

    def train() -> None:
        made.model[0].to(torch.bfloat16)
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01)
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = made.model(made.inputs).mean()
            loss.backward()
            optimizer.step()

    alarm = only_alarm(train, "AMP411", "made.model[0].to(")
    assert alarm.values == {"bfloat16": 1.0, "float32": 1.0}


def test_a_float16_part_that_the_scaler_refuses() -> None:
    made = program()

    def train() -> None:
        made.model[0].half()
        optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01)
        made.scaler.scale(made.loss()).backward()
        made.scaler.step(optimizer)

    only_alarm(train, "AMP411", "made.model[0].half()")


def test_norms_in_float32_beside_bfloat16_weights_are_fine() -> None:
    made = program()
    made.model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.LayerNorm(16), torch.nn.Linear(16, 1))
    made.model.to(torch.bfloat16)
    made.model[1].float()
    optimizer = torch.optim.SGD(made.model.parameters(), lr=0.01)

    def train() -> None:
        hidden = made.model[1](made.model[0](made.inputs.bfloat16()).float()).bfloat16()
        made.model[2](hidden).mean().backward()
        optimizer.step()

    silent(train, "AMP411")


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def test_a_default_type_of_half() -> None:
    def train() -> None:
        torch.set_default_dtype(torch.bfloat16)
        model = torch.nn.Linear(8, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(4, 8)).mean().backward()
        optimizer.step()

    with _default(torch.float32):
        only_alarm(train, "AMP412", "set_default_dtype")


def test_a_default_type_that_is_put_back_before_training_is_fine() -> None:
    def train() -> None:
        torch.set_default_dtype(torch.bfloat16)
        torch.set_default_dtype(torch.float32)
        torch.nn.Linear(8, 1)(torch.randn(4, 8)).mean().backward()

    silent(train, "AMP412")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loading_that_changes_the_type(dtype: torch.dtype) -> None:
    made = program()
    state = {name: value.to(dtype) for name, value in made.model.state_dict().items()}

    def train() -> None:
        made.model.load_state_dict(state, assign=True)
        optimizer = torch.optim.AdamW(made.model.parameters(), fused=True)
        _plain(made, optimizer)

    alarm = only_alarm(train, "AMP413", "load_state_dict")
    assert alarm.values == {"changed": 4.0, "parameters": 4.0}


def test_loading_half_weights_that_are_not_trained_is_fine() -> None:
    made, frozen = program(), program().model.requires_grad_(False)
    half = {name: value.bfloat16() for name, value in frozen.state_dict().items()}

    def train() -> None:
        frozen.load_state_dict(half, assign=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (made.model(made.inputs) + frozen(made.inputs)).float().mean()
        loss.backward()
        made.optimizer.step()

    silent(train, "AMP413")


def test_loading_that_keeps_the_type_is_fine() -> None:
    made = program()
    half = {name: value.half() for name, value in made.model.state_dict().items()}

    def train() -> None:
        made.model.load_state_dict(half)
        made.model.load_state_dict({name: value.float() for name, value in half.items()}, assign=True)
        made.model(made.inputs).mean().backward()

    silent(train, "AMP413")


def _bfloat16(made: Program, inputs: torch.Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = made.model(inputs).float().mean()
    loss.backward()


def test_a_step_with_an_infinite_loss() -> None:
    made = program()

    def train() -> None:
        _bfloat16(made, made.inputs)
        made.optimizer.step()
        made.optimizer.zero_grad()
        _bfloat16(made, made.inputs * math.nan)
        made.optimizer.step()  # the second

    alarm = only_alarm(train, "AMP415", "made.optimizer.step()  # the second")
    assert (alarm.step, alarm.values) == (2, {"nonfinite": 2.0, "gradients": 4.0})


def test_a_norm_that_is_not_finite() -> None:
    made = program()

    def train() -> None:
        _bfloat16(made, made.inputs)
        made.model[0].weight.grad[0, 0] = math.inf
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
        made.optimizer.step()

    only_alarm(train, "AMP415", "made.optimizer.step()")


def test_a_step_that_is_left_out_is_fine() -> None:
    made = program()

    def train() -> None:
        for inputs in (made.inputs, made.inputs * math.nan, made.inputs):
            _bfloat16(made, inputs)
            norm = torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            if torch.isfinite(norm):
                made.optimizer.step()
            made.optimizer.zero_grad()

    silent(train)
