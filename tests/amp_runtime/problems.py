"""Small problems to train on, shared by the tests of amp_runtime."""

from __future__ import annotations

import torch
from torch import nn

from amp_runtime.config import LossScaling
from amp_runtime.objective import Outcome
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import TrainingStep

OVERFLOW = 1e38  # times any usual loss scale: inf

SCALE = 1024.0  # small enough not to overflow on these problems


def fp16(device="cpu"):
    return Fp16Policy(device, LossScaling(init_scale=SCALE))


POLICIES = {"fp32": Fp32Policy, "bf16": Bf16Policy, "fp16": fp16}


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def batches(count, size=4, factor=1.0):
    """Batches of (inputs, targets, factor on the loss)."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(size, 8, generator=generator) for _ in range(count)]
    return [(x, x.sum(1, keepdim=True).sin(), factor) for x in inputs]


def regression(model, batch):
    inputs, targets, factor = batch
    loss = nn.functional.mse_loss(model(inputs).float(), targets) * factor
    return Outcome(loss=loss, examples=len(inputs))


def make_step(policy=None, *, optimizer=None, lr=0.1, model=None, **settings):
    """A training step on `network()` with SGD and momentum."""
    model = model or network()
    make = optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=0.9))
    return TrainingStep(model, make(model.parameters()), policy or Fp32Policy(), regression, **settings)


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(left, right):
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def split_optimizers(model, **settings):
    """Two optimizers that share the work on `network()`: SGD with momentum for the body, AdamW for the head."""
    body = torch.optim.SGD(model[0].parameters(), lr=0.1, momentum=0.9, **settings)
    return [body, torch.optim.AdamW(model[2].parameters(), lr=0.01, **settings)]
