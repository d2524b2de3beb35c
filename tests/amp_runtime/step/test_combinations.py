"""Every combination of features against the loop that PyTorch's AMP examples would have one write by hand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from amp_runtime.accumulation import windows
from amp_runtime.config import LossScaling
from amp_runtime.ema import ExponentialMovingAverage
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import StepOptions, TrainingStep
from tests.amp_runtime.problems import OVERFLOW, batches, network, regression, same, split_optimizers, weights

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
SCALE = 1024.0
DECAY = 0.9
STEPS = 5
BAD_STEP = 2


@dataclass(frozen=True)
class Case:
    precision: str
    accumulation: int
    clip: str
    optimizers: int
    schedule: bool
    ema: bool

    def __str__(self):
        names = [self.precision, f"acc{self.accumulation}", f"clip-{self.clip}", f"opt{self.optimizers}"]
        return "-".join(names + ["schedule"] * self.schedule + ["ema"] * self.ema)

    def make_optimizers(self, model):
        pair = split_optimizers(model)
        if self.optimizers == 2:
            return pair
        groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.05}]
        return [torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-3)]

    def make_schedulers(self, optimizers):
        make = (
            lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.5, total_iters=4),
            lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.7),
        )
        return [new(optimizer) for new, optimizer in zip(make, optimizers, strict=False)] if self.schedule else []


CASES = [
    Case(*values)
    for values in itertools.product(DTYPES, (1, 3), ("none", "norm", "value"), (1, 2), (False, True), (False, True))
]


def data(case):
    found = batches(STEPS * case.accumulation)
    if case.precision == "fp16":  # the last micro-batch of one step overflows
        place = (BAD_STEP + 1) * case.accumulation - 1
        found[place] = (*found[place][:2], OVERFLOW)
    return list(windows(found, case.accumulation))


@dataclass
class Trained:
    model: list[torch.Tensor]
    losses: list[float]
    rates: list[float]
    scale: float | None
    average: list[torch.Tensor]
    state: list[torch.Tensor]


def state_of(optimizers):
    return [
        value
        for optimizer in optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]


def handwritten(case):
    model = network()
    optimizers = case.make_optimizers(model)
    schedulers = case.make_schedulers(optimizers)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    average.update_parameters(model)  # the first call only copies
    dtype = DTYPES[case.precision]
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=3, enabled=case.precision == "fp16")
    losses = []
    for window in data(case):
        for optimizer in optimizers:
            optimizer.zero_grad()
        total = torch.zeros(())
        for inputs, targets, factor in window:
            with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
                loss = nn.functional.mse_loss(model(inputs).float(), targets) * factor
            share = loss * (1 / len(window)) if len(window) > 1 else loss
            scaler.scale(share).backward()
            total += share.detach()
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            if case.clip == "norm":
                nn.utils.clip_grad_norm_(parameters, 0.1)
            if case.clip == "value":
                nn.utils.clip_grad_value_(parameters, 0.02)
        for optimizer in optimizers:
            scaler.step(optimizer)
        before = scaler.get_scale()
        scaler.update()
        losses.append(total.item())
        if scaler.get_scale() >= before:
            for scheduler in schedulers:
                scheduler.step()
            average.update_parameters(model)
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    scale = scaler.get_scale() if case.precision == "fp16" else None
    return Trained(weights(model), losses, rates, scale, weights(average.module), state_of(optimizers))


def options(case):
    return StepOptions(
        clip_norm=0.1 if case.clip == "norm" else None, clip_value=0.02 if case.clip == "value" else None
    )


def make(case):
    scaling = LossScaling(init_scale=SCALE, growth_interval=3)
    policy = {"fp32": Fp32Policy, "bf16": Bf16Policy, "fp16": lambda: Fp16Policy("cpu", scaling)}[case.precision]()
    model = network()
    optimizers = case.make_optimizers(model)
    return TrainingStep(
        model,
        optimizers if case.optimizers == 2 else optimizers[0],
        policy,
        regression,
        scheduler=case.make_schedulers(optimizers),
        options=options(case),
        ema=ExponentialMovingAverage(model, DECAY) if case.ema else None,
    )


def averages(step):
    return [] if step.ema is None else [value.clone() for value in step.ema.state_dict()["averages"].values()]


def rates_of(step):
    return [group["lr"] for optimizer in step.optimizers for group in optimizer.param_groups]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_equals_the_handwritten_loop_bit_for_bit(case):
    expected = handwritten(case)
    step = make(case)
    losses = [step.run(window).loss for window in data(case)]
    assert same(weights(step.model), expected.model)
    assert same(state_of(step.optimizers), expected.state)
    assert losses == pytest.approx(expected.losses, rel=1e-6)
    assert rates_of(step) == expected.rates
    assert (step.policy.scaler.current_scale if step.policy.scaler else None) == expected.scale
    if case.ema:
        assert same(averages(step), expected.average)


@pytest.mark.parametrize("case", [case for case in CASES if case.precision == "fp16"], ids=str)
def test_an_overflow_leaves_everything_but_the_scale(case):
    step = make(case)
    windows_ = data(case)
    for window in windows_[:BAD_STEP]:
        assert not step.run(window).skipped
    before = (weights(step.model), [s.clone() for s in state_of(step.optimizers)], averages(step))
    rates, scale = rates_of(step), step.policy.scaler.current_scale
    report = step.run(windows_[BAD_STEP])
    after = (weights(step.model), state_of(step.optimizers), averages(step))
    assert report.skipped
    assert all(same(old, new) for old, new in zip(before, after, strict=True))
    assert rates_of(step) == rates
    assert step.policy.scaler.current_scale == scale / 2
    assert step.policy.scaler.skipped_steps == 1
    assert not step.run(windows_[BAD_STEP + 1]).skipped
    assert not same(weights(step.model), before[0])
