import random

import pytest
import torch
from torch import nn

from amp_runtime.compile.state import preserved


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.calls = 0
        self.register_buffer("mask", None)

    def forward(self, x):
        self.calls += 1
        self.last = x
        self.norm.running_mean = self.norm.running_mean + 1
        return self.norm(self.layer(x))


def state(model):
    return {
        "modes": [module.training for module in model.modules()],
        "parameters": [parameter.tolist() for parameter in model.parameters()],
        "trained": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [id(parameter.grad) for parameter in model.parameters()],
        "buffers": [(id(buffer), buffer.tolist()) for buffer in model.buffers()],
        "calls": model.calls,
        "names": sorted(vars(model)),
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "flags": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_float32_matmul_precision()),
    }


def disturb(model):
    model.eval()
    model(torch.randn(4, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
            parameter.grad = None
            parameter.requires_grad_(False)
    random.random()
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")


@pytest.mark.parametrize("raises", [False, True])
def test_everything_is_given_back_on_every_path(raises):
    model = Counting()
    model.norm.eval()
    model(torch.randn(4, 3)).sum().backward()
    before = state(model)
    try:
        with preserved(model):
            disturb(model)
            assert state(model) != before
            if raises:
                raise KeyError
    except KeyError:
        pass
    assert state(model) == before
