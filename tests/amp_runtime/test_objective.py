import math

import torch
from torch import nn

from amp_runtime.objective import classification


def test_classification_averages_over_every_token():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [2.0, 0.0]]])
    targets = torch.tensor([[0, 1], [1, 0]])
    outcome = classification(nn.Identity(), (logits, targets))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert outcome.examples == 4
    assert int(outcome.correct) == 3
    assert math.isclose(outcome.loss.item(), (3 * right + wrong) / 4, rel_tol=1e-6)


def test_the_loss_is_float32_although_logits_are_half():
    logits = torch.randn(3, 5, dtype=torch.float16, requires_grad=True)
    outcome = classification(nn.Identity(), (logits, torch.tensor([0, 1, 2])))
    assert outcome.loss.dtype is torch.float32
    outcome.loss.backward()
    assert logits.grad is not None
    assert not outcome.correct.requires_grad
