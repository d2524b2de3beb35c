"""Lightning modules on handwritten digits, shared by the tests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from torch import nn

from amp_runtime.lightning import ObjectiveModule
from amp_runtime.objective import classification


def classifier(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def module(objective=classification, make_optimizer=sgd, **settings):
    return ObjectiveModule(classifier(), objective, make_optimizer, **settings)


def overflowing(*numbers):
    """`classification`, whose loss is far too large in the calls with these numbers, counted from 0 in train mode."""
    calls = itertools.count()

    def objective(model, batch):
        outcome = classification(model, batch)
        if model.training and next(calls) in numbers:
            return replace(outcome, loss=outcome.loss * 1e38)
        return outcome

    return objective


def weights(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(left, right):
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
