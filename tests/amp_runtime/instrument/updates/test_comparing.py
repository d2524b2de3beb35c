"""Updates tell what losses cannot: wrong scaling behind Adam, stale weights, one bad layer. Honest noise passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from amp_runtime.instrument.updates.check import compare_updates
from amp_runtime.instrument.updates.comparing import _between
from amp_runtime.instrument.updates.noise import RoundingNoise

Step = Callable[[], float]
Make = Callable[[bool], Step]
SCALE = 2.0**8


class Training:
    """A small transformer-like regression under Adam; `bug` names what is done wrongly under AMP."""

    def __init__(self, amp: bool, bug: str, seed: int = 0, *, adam: bool = True, dtype: torch.dtype = torch.float16):
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU())
        self.head = nn.Linear(64, 4)
        parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.Adam(parameters, lr=1e-3) if adam else torch.optim.SGD(parameters, lr=0.05)
        )
        scaled = amp and dtype is torch.float16
        self.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, enabled=scaled)
        self.data = torch.Generator().manual_seed(seed + 1)
        self.amp, self.bug, self.dtype = amp, bug if amp else "", dtype
        self.outer = torch.autocast("cpu", dtype=dtype)
        if self.bug == "stale":
            self.outer.__enter__()

    def step(self) -> float:
        inputs, targets = torch.randn(32, 16, generator=self.data), torch.randn(32, 4, generator=self.data)
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.amp):
            hidden = self.model(inputs)
            if self.bug == "crushed layer":
                hidden = (hidden * 1e-7).to(torch.float16).float() * 1e7
            out = self.head(hidden).float()
        loss = nn.functional.mse_loss(out, targets)
        self._backward(loss)
        if self.bug not in ("early clip", "no clip"):
            self.scaler.unscale_(self.optimizer)
        if self.bug != "no clip":
            nn.utils.clip_grad_norm_(self._parameters(), 0.1)
        if self.bug == "bypass":
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return float(loss.detach())

    def _backward(self, loss: torch.Tensor) -> None:
        if self.bug == "unscaled":
            self.scaler.scale(loss.detach().requires_grad_())
            loss.backward()
        elif self.bug == "partly scaled":
            (self.scaler.scale(loss) + 0.5 * sum(p.square().sum() for p in self._parameters())).backward()
        elif self.bug == "regularized twice":
            self.scaler.scale(loss + 1e-2 * sum(p.square().sum() for p in self._parameters())).backward()
        else:
            self.scaler.scale(loss).backward()

    def _parameters(self) -> list[torch.Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def close(self) -> None:
        if self.bug == "stale":
            self.bug = ""
            self.outer.__exit__(None, None, None)


def make(bug: str = "", seed: int = 0, dtype: torch.dtype = torch.float16) -> tuple[Make, list[Training]]:
    made: list[Training] = []

    def build(amp: bool) -> Step:
        if made:
            made[0].close()  # the one under AMP, which came first
        made.append(Training(amp, bug, seed, dtype=dtype))
        return made[-1].step

    return build, made


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("seed", range(4))
def test_honest_training_holds_and_repeats(seed: int, dtype: torch.dtype) -> None:
    found = compare_updates(make(seed=seed, dtype=dtype)[0], dtype, steps=6)
    assert (found.holds, found.deterministic, found.steps, found.skipped) == (True, True, 6, 0)
    assert found.tensors == ()
    assert all(0 < one.angle < 0.1 for one in found.whole)


@pytest.mark.parametrize(
    "bug", ["unscaled", "early clip", "partly scaled", "no clip", "crushed layer", "stale", "regularized twice"]
)
def test_what_adam_hides_is_seen(bug: str) -> None:
    build, made = make(bug)
    try:
        found = compare_updates(build, torch.float16, steps=6)
    finally:
        made[0].close()
    assert not found.holds


def test_the_update_of_adam_alone_would_have_shown_nothing() -> None:
    found = compare_updates(make("unscaled")[0], torch.float16, steps=6)
    worst = max(abs(math.log(one.ratio)) for one in found.whole)
    assert worst > 1
    assert max(abs(math.log(one.update_ratio)) for one in found.whole) < 0.05


def test_a_skipped_step_is_undone_in_fp32_so_both_have_made_the_same_steps() -> None:
    def build(amp: bool) -> Step:
        training = Training(amp, "")
        if amp:
            training.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, backoff_factor=2.0**-8)
        return training.step

    found = compare_updates(build, torch.float16, steps=6)
    assert found.skipped >= 1
    assert (found.holds, found.steps) == (True, 6 - found.skipped)


def test_a_training_that_never_steps_proves_nothing() -> None:
    found = compare_updates(lambda _amp: lambda: 1.0, torch.bfloat16, steps=2)
    assert (found.holds, found.reason) == (False, "no optimizer step took effect")


def test_a_training_that_does_not_repeat_is_told() -> None:
    def build(amp: bool) -> Step:
        training = Training(amp, "", dtype=torch.bfloat16)
        training.data.seed()
        return training.step

    assert compare_updates(build, torch.bfloat16, steps=2, runs=1).deterministic is False


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 3), (torch.float16, 0)])
def test_what_cannot_be_compared_is_refused(dtype: torch.dtype, steps: int) -> None:
    with pytest.raises(ValueError, match=r"float16 or bfloat16|at least one step"):
        compare_updates(lambda _amp: lambda: 1.0, dtype, steps=steps)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-6, 3.0), st.floats(1e-3, 1e3), st.integers(0, 2**16))
def test_angle_and_ratio_are_those_of_geometry(angle: float, length: float, seed: int) -> None:
    torch.manual_seed(seed)
    one, other = torch.linalg.qr(torch.randn(50, 2, dtype=torch.float64))[0].T
    turned = length * (math.cos(angle) * one + math.sin(angle) * other)
    found = _between(one, turned)
    assert found[0] == pytest.approx(angle, rel=1e-6)
    assert found[1] == pytest.approx(length, rel=1e-9)


def test_noise_disturbs_products_only_and_by_no_more_than_rounding() -> None:
    left, right = torch.ones(64, 64), torch.eye(64)
    state = torch.get_rng_state()
    with RoundingNoise(torch.bfloat16, 0):
        product, total = left @ right, left + right
    assert torch.equal(total, torch.ones(64, 64) + torch.eye(64))
    error = (product - 1).abs().max()
    assert 0 < float(error) < 4 * torch.finfo(torch.bfloat16).eps / 2
    assert torch.equal(state, torch.get_rng_state())
