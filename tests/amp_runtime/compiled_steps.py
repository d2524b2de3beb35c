"""Training steps of compiled models, and of the same ones as they are."""

import torch
from torch import nn

from amp_runtime.step import TrainingStep
from tests.amp_runtime.problems import batches, regression


class Island(nn.Module):
    """Keeps one product in float32 inside autocast, as a careful model does for a sensitive operation."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 1)

    def forward(self, x):
        hidden = self.first(x)
        with torch.autocast("cpu", enabled=False):
            hidden = torch.tanh(hidden.float() @ (self.first.weight @ self.first.weight.t()))
        return self.last(hidden)


def make(policy, model, *, backend=None, in_place=False, options=None, **settings):
    torch.manual_seed(0)
    model = model()
    settings = {name: make_one(model) for name, make_one in settings.items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if backend is not None and in_place:
        model.compile(backend=backend)
    elif backend is not None:
        model = torch.compile(model, backend=backend)
    return TrainingStep(model, optimizer, policy, regression, options=options, **settings)


def gradients(step):
    step.run(batches(1))
    return [parameter.grad.clone() for parameter in step.model.parameters()]
