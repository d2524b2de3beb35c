"""A resumed training is compared with a straight one: losses, loss scaler, and the state they end in."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from amp_runtime import workloads
from amp_runtime.instrument.resume import check_resume
from tests.amp_runtime.instrument.watching import Program, program

NAMES = ("digits_fp16", "gan_fp16", "line_gru")  # one optimizer, two, and a recurrent one


@pytest.mark.parametrize("amp", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_workload_goes_on_as_if_it_had_not_stopped(name: str, amp: bool) -> None:
    found = check_resume(lambda: getattr(workloads, name)(amp=amp, seed=3), steps=2)
    assert (found.holds, found.wrong, len(found.straight), len(found.resumed)) == (True, (), 4, 2)


class Training:
    """A program that forgets something when it is saved."""

    def __init__(self, forgets: str) -> None:
        self.made: Program = program(adam=True)
        self.made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
        self.forgets = forgets
        self.number = 0

    def step(self) -> float:
        made = self.made
        generator = torch.Generator().manual_seed(self.number)
        self.number += 1
        made.inputs = torch.randn(4, 8, generator=generator)
        made.optimizer.zero_grad()
        loss = made.loss()
        made.scaler.scale(loss).backward()
        made.scaler.step(made.optimizer)
        made.scaler.update()
        return float(loss.detach())

    def parts(self) -> dict[str, Any]:
        parts = {"model": self.made.model, "optimizer": self.made.optimizer, "scaler": self.made.scaler}
        return {name: part for name, part in parts.items() if name != self.forgets}

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts().items()}
        return state if self.forgets == "data" else state | {"number": self.number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.number = state.get("number", 0)


@pytest.mark.parametrize(
    ("forgets", "wrong"),
    [
        ("", ()),
        ("model", ("losses",)),
        ("optimizer", ("losses", "state at the end")),
        ("scaler", ("loss scaler",)),
        ("data", ("losses", "state at the end")),
    ],
)
def test_what_was_forgotten_is_named(forgets: str, wrong: tuple[str, ...]) -> None:
    found = check_resume(lambda: Training(forgets), steps=3)
    assert found.holds == (not wrong)
    assert set(wrong) <= set(found.wrong)


def test_no_step_is_no_check() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        check_resume(lambda: Training(""), steps=0)
