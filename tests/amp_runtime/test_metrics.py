import math

import pytest
import torch
from torch import nn

from amp_runtime.metrics import Meter, Metrics, evaluate
from amp_runtime.objective import classification
from amp_runtime.policy import Bf16Policy, Fp32Policy


def test_batches_of_different_size_weigh_by_their_size():
    meter = Meter()
    meter.add(torch.tensor(1.0), 3, torch.tensor(3))
    meter.add(torch.tensor(5.0), 1, torch.tensor(0))
    assert meter.read() == Metrics(loss=2.0, examples=4, accuracy=0.75)


def test_without_counts_there_is_no_accuracy():
    meter = Meter()
    meter.add(torch.tensor(1.0), 2, None)
    assert meter.read().accuracy is None


def test_no_batches_is_an_error_and_no_zero():
    with pytest.raises(ValueError, match="no batch was seen"):
        Meter().read()


def test_perplexity_is_e_to_the_loss_and_never_overflows():
    assert Metrics(loss=math.log(50), examples=1).perplexity == pytest.approx(50)
    assert Metrics(loss=1e6, examples=1).perplexity == math.inf


class DtypeSpy(nn.Linear):
    def forward(self, x):
        self.seen = super().forward(x)
        return self.seen


def test_evaluation_runs_in_the_precision_of_training_and_changes_nothing():
    model = DtypeSpy(4, 3).train()
    before = model.weight.detach().clone()
    batch = (torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))
    evaluate(model, [batch], Bf16Policy(), classification)
    assert model.seen.dtype is torch.bfloat16
    assert model.training
    assert model.weight.grad is None
    assert torch.equal(model.weight, before)


def test_evaluation_in_parts_equals_evaluation_at_once():
    model = nn.Linear(4, 3)
    inputs, targets = torch.randn(9, 4), torch.arange(9) % 3
    whole = evaluate(model, [(inputs, targets)], Fp32Policy(), classification)
    parts = evaluate(model, [(inputs[:2], targets[:2]), (inputs[2:], targets[2:])], Fp32Policy(), classification)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert parts.accuracy == whole.accuracy
