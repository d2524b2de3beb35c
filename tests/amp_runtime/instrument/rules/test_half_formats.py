"""AMP124, 125 and 135 to 139: losses that are scaled or should be, and in what they were computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import said
from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program


def _turn(made: Program, dtype: torch.dtype = torch.float16) -> None:
    made.optimizer.zero_grad()
    made.scaler.scale(made.loss(dtype)).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()


def test_bfloat16_with_a_scaler() -> None:
    made = program()

    def train() -> None:
        made.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(4):
            _turn(made, torch.bfloat16)

    assert only_alarm(train, "AMP135", "GradScaler(").values == {"scale": 1024.0}


def test_float32_with_a_scaler() -> None:
    made = program()

    def train() -> None:
        made.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(4):
            made.optimizer.zero_grad()
            made.scaler.scale(made.model(made.inputs).mean()).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert only_alarm(train, "AMP137", "GradScaler(").values == {"scale": 1024.0}


def test_a_part_in_float32_or_bfloat16_beside_one_in_float16() -> None:
    made = program()

    def train() -> None:
        for i in range(6):
            if i % 2:
                _turn(made, torch.bfloat16)
            else:
                _turn(made)
            made.optimizer.zero_grad()
            made.scaler.scale(made.model(made.inputs).mean()).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []


def test_a_compiled_model_may_compute_in_anything() -> None:
    made = program()

    def train() -> None:
        for _ in range(4):
            made.optimizer.zero_grad()
            made.scaler.scale(_Double.apply(made.model(made.inputs)).mean()).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, value: torch.Tensor) -> torch.Tensor:
        return value * 2

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 2


def _unscaled(made: Program, context: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
    for _ in range(3):
        made.optimizer.zero_grad()
        with context():
            loss = made.model(made.inputs).float().pow(2).mean()
        loss.backward()
        made.optimizer.step()


def test_float16_without_a_scaler() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = (made.model(made.inputs) * 1e-4).float().pow(2).mean()
            loss.backward()
            made.optimizer.step()

    alarm = only_alarm(train, "AMP136", "torch.autocast")
    assert 0.5 < alarm.values["zero_share"] <= 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_other_formats_without_a_scaler(dtype: torch.dtype) -> None:
    made = program()
    enabled = dtype is torch.bfloat16
    context = torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)
    assert codes(lambda: _unscaled(made, lambda: context)) == []


def test_float16_where_nothing_is_learnt() -> None:
    made, teacher = program(), program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16), torch.no_grad():
                target = teacher.model(made.inputs)
            (made.model(made.inputs) - target.float()).pow(2).mean().backward()
            made.optimizer.step()

    assert codes(train) == []


def test_a_scaler_that_is_switched_off() -> None:
    made = program()

    def train() -> None:
        made.scaler = torch.amp.GradScaler("cpu", enabled=False)
        for _ in range(3):
            _turn(made)

    only_alarm(train, "AMP138", "GradScaler(")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the scaler is on where CUDA is there")
def test_a_scaler_that_switched_itself_off() -> None:
    made = program()

    def train() -> None:
        made.scaler = torch.amp.GradScaler()
        for _ in range(3):
            _turn(made)

    (alarm,) = said(train).alarms
    assert (alarm.code, alarm.frames[-1].line) == ("AMP139", train.__code__.co_firstlineno + 1)


def test_one_flag_for_both() -> None:
    made = program()

    def train() -> None:
        for amp in (False, True):
            scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=amp)
            for _ in range(3):
                made.optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.float16, enabled=amp):
                    loss = made.model(made.inputs).float().pow(2).mean()
                scaler.scale(loss).backward()
                scaler.step(made.optimizer)
                scaler.update()

    assert codes(train) == []


def test_a_scaled_loss_that_is_read() -> None:
    made = program()
    seen = []

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            loss = made.scaler.scale(made.loss())
            loss.backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()
            seen.append(loss.detach().item())

    alarm = only_alarm(train, "AMP124", "seen.append")
    assert alarm.values["read"] == seen[0]
    assert alarm.values["loss"] == pytest.approx(seen[0] / 1024)


@pytest.mark.parametrize("read", [float, torch.Tensor.tolist, "{:.3f}".format])
def test_a_scaled_loss_that_is_read_in_other_ways(read: Callable[[torch.Tensor], object]) -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            loss = made.scaler.scale(made.loss())
            loss.backward()
            read(loss.detach())
            made.scaler.step(made.optimizer)
            made.scaler.update()

    expected = [] if read is torch.Tensor.tolist else ["AMP124"]  # the method was taken before the scaler was used
    assert codes(train) == expected


def test_a_loss_that_is_read_by_its_own_name() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            loss = made.loss()
            scaled = made.scaler.scale(loss)
            scaled.backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()
            assert loss.item() < 100
            assert scaled.item() / made.scaler.get_scale() < 100

    assert codes(train) == []


@pytest.mark.parametrize("kind", ["norm", "square"])
def test_a_penalty_on_scaled_gradients(kind: str) -> None:
    made = program()
    made.inputs.requires_grad_()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            loss = made.loss()
            (taken,) = torch.autograd.grad(made.scaler.scale(loss), made.inputs, create_graph=True)
            penalty = (taken.norm(2, dim=1) - 1).pow(2).mean() if kind == "norm" else (taken * taken).sum()
            made.scaler.scale(loss + 1e-6 * penalty).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert only_alarm(train, "AMP125", "torch.autograd.grad").values == {"scale": 1024.0}


@pytest.mark.parametrize("kind", ["divided", "inverse", "tensor", "norm divided", "linear", "not scaled"])
def test_a_penalty_on_true_gradients(kind: str) -> None:
    made = program()
    made.inputs.requires_grad_()

    def penalty(taken: torch.Tensor, scale: float) -> torch.Tensor:
        if kind == "linear":
            return (taken * torch.ones_like(taken)).sum()
        if kind == "norm divided":
            return (taken.norm(2, dim=1) / scale - 1).pow(2).mean()
        factor: torch.Tensor | float = torch.tensor(1 / scale) if kind == "tensor" else 1 / scale
        true = taken / scale if kind == "divided" else taken if kind == "not scaled" else taken * factor
        return (true.norm(2, dim=1) - 1).pow(2).mean()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            loss = made.loss()
            root = loss if kind == "not scaled" else made.scaler.scale(loss)
            (taken,) = torch.autograd.grad(root, made.inputs, create_graph=True)
            made.scaler.scale(loss + 1e-6 * penalty(taken, made.scaler.get_scale())).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []
