"""AMP119, 120, and 132 to 134: what scalers are made with, what they scale, and what checkpoints keep of them."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from tests.amp_runtime.instrument.watching import Program, codes, only_alarm, program, watch


def _turn(made: Program) -> None:
    made.optimizer.zero_grad()
    made.scaler.scale(made.loss()).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()


def _everything(made: Program) -> dict[str, Any]:
    return {
        "model": made.model.state_dict(),
        "optimizer": made.optimizer.state_dict(),
        "scaler": made.scaler.state_dict(),
    }


def test_a_checkpoint_without_the_scaler() -> None:
    made = program(adam=True, init_scale=2.0**22)

    def train() -> None:
        for i in range(12):
            _turn(made)
            if i == 10:
                state = {
                    "model": made.model.state_dict(),
                    "optimizer": made.optimizer.state_dict(),
                }
                torch.save({"step": i, "states": [state]}, io.BytesIO())

    alarm = only_alarm(train, "AMP119", "optimizer.state_dict()")
    assert alarm.values["init_scale"] == 2.0**22
    assert alarm.values["scale"] < 2.0**22


@pytest.mark.parametrize("apart", [False, True])
def test_a_checkpoint_with_the_scaler(apart: bool) -> None:
    made = program(adam=True)

    def train() -> None:
        for _ in range(3):
            _turn(made)
            whole = _everything(made)
            if apart:
                for one in whole.values():
                    torch.save(one, io.BytesIO())
            else:
                torch.save(whole, io.BytesIO())

    assert codes(train) == []


def test_a_checkpoint_of_weights_alone() -> None:
    made = program(adam=True)

    def train() -> None:
        for _ in range(2):
            _turn(made)
            torch.save({"model": made.model.state_dict()}, io.BytesIO())

    assert codes(train) == []


def _resumed(load_scaler: bool) -> tuple[Program, Program, io.BytesIO]:
    old, new, file = program(adam=True, init_scale=64.0), program(adam=True), io.BytesIO()
    _turn(old)
    torch.save(_everything(old), file)
    return old, new, file


def test_a_resumed_run_that_leaves_the_scaler_out() -> None:
    _old, new, file = _resumed(load_scaler=False)

    def train() -> None:
        file.seek(0)
        state = torch.load(file)
        new.model.load_state_dict(state["model"])
        new.optimizer.load_state_dict(state["optimizer"])
        for _ in range(2):
            _turn(new)

    assert only_alarm(train, "AMP119", "optimizer.load_state_dict").values == {"saved": 64.0, "scale": 1024.0}


@pytest.mark.parametrize("scaler_first", [False, True])
def test_a_resumed_run(scaler_first: bool) -> None:
    _old, new, file = _resumed(load_scaler=True)

    def train() -> None:
        file.seek(0)
        state = torch.load(file)
        if scaler_first:
            new.scaler.load_state_dict(state["scaler"])
        new.optimizer.load_state_dict(state["optimizer"])
        if not scaler_first:
            new.scaler.load_state_dict(state["scaler"])
        for _ in range(2):
            _turn(new)

    assert codes(train) == []


def test_a_state_for_a_scaler_that_is_off() -> None:
    state = torch.amp.GradScaler("cpu").state_dict()

    def train() -> None:
        torch.amp.GradScaler("cpu", enabled=False).load_state_dict(state)

    assert only_alarm(train, "AMP120", "load_state_dict").values == {"scale": 65536.0}


def test_a_state_of_a_scaler_that_was_off() -> None:
    def train() -> None:
        torch.amp.GradScaler("cpu").load_state_dict({})

    assert "raises" in only_alarm(train, "AMP120", "load_state_dict").message


def test_a_state_that_overrides_what_the_scaler_was_made_with() -> None:
    state = torch.amp.GradScaler("cpu").state_dict()

    def train() -> None:
        scaler = torch.amp.GradScaler("cpu", growth_interval=100)
        scaler.load_state_dict(state)

    assert "growth_interval 100, now 2000" in only_alarm(train, "AMP120", "load_state_dict").message


def test_states_that_fit() -> None:
    on, off = torch.amp.GradScaler("cpu", growth_interval=100), torch.amp.GradScaler("cpu", enabled=False)

    def train() -> None:
        torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=100).load_state_dict(on.state_dict())
        torch.amp.GradScaler("cpu", enabled=False).load_state_dict(off.state_dict())

    assert codes(train) == []


def test_a_loss_that_is_not_reduced() -> None:
    made = program()
    made.scaler = torch.amp.GradScaler("cpu")

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                out = made.model(made.inputs)
            scaled = made.scaler.scale(out.pow(2))
            scaled.mean().backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    alarm = only_alarm(train, "AMP132", "scaler.scale(out")
    assert alarm.values == {"elements": 4.0, "scale": 65536.0}
    assert "0.9995" in alarm.message


@pytest.mark.parametrize("cast", [False, True])
def test_a_loss_that_is_float16(cast: bool) -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = made.model(made.inputs).pow(2).sum()
            made.scaler.scale(loss.float() if cast else loss).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert only_alarm(train, "AMP133", "scaler.scale(").values["scale"] == 1024.0


def test_a_loss_that_is_cast_before_it_is_reduced() -> None:
    made = program()

    def train() -> None:
        for _ in range(2):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = made.model(made.inputs).float().pow(2).sum()
            made.scaler.scale([loss])[0].backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    assert codes(train) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"init_scale": 0},
        {"init_scale": float("inf")},
        {"init_scale": -2.0},
        {"init_scale": True},
        {"growth_interval": 0},
        {"backoff_factor": -0.5},
        {"growth_factor": float("inf")},
        {"growth_factor": 1.0},  # torch refuses it
        {"device": False},
        {"enabled": "false"},
    ],
)
def test_a_scaler_made_with_what_cannot_work(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"device": "cpu"} | wrong

    def train() -> None:
        torch.amp.GradScaler(**arguments)

    message = only_alarm(train, "AMP134", "GradScaler(").message
    assert next(iter(wrong)) in message.replace("growth factor", "growth_factor")


def test_scalers_made_as_they_should_be() -> None:
    def train() -> None:
        torch.amp.GradScaler("cpu", 2.0**10, growth_interval=100)
        torch.amp.GradScaler("cpu", init_scale=0, enabled=False)
        torch.amp.GradScaler(device="cpu", init_scale=1024)

    assert codes(train) == []


def test_a_scale_set_by_a_whole_number() -> None:
    made = program()

    def train() -> None:
        _turn(made)
        made.scaler.update(1024)

    assert "whole number" in only_alarm(train, "AMP134", "update(1024)").message


@pytest.mark.parametrize(("scale", "expected"), [(0.0, ["AMP134"]), (512.0, [])])
def test_a_scale_set_by_hand(scale: float, expected: list[str]) -> None:
    made = program()

    def train() -> None:
        _turn(made)
        made.scaler.update(scale)

    assert [alarm.code for alarm in watch(train).alarms] == expected
