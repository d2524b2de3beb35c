import math

import pytest
import torch
from torch import nn

from amp_runtime.objective import Outcome, classification, mean_of_parts
from tests.amp_runtime.problems import batches, make_step, regression


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


def test_several_losses_are_one_weighted_sum_in_float32():
    big, small = torch.tensor(2048.0, dtype=torch.float16), torch.tensor(0.5, dtype=torch.float16)
    outcome = Outcome.of_several({"a": big, "b": small}, {"a": 1.0, "b": 0.5}, examples=3)
    assert outcome.loss.dtype is torch.float32
    assert outcome.loss.item() == 2048.25
    assert {name: part.item() for name, part in outcome.parts.items()} == {"a": 2048.0, "b": 0.5}


def test_the_sum_gives_the_gradients_that_separate_passes_add_up_to():
    def gradient(*losses):
        weight = torch.tensor([1.0, 2.0], requires_grad=True)
        for loss in losses:
            loss(weight).backward()
        return weight.grad

    one, two = (lambda w: w.pow(2).sum()), (lambda w: w.exp().sum())
    summed = gradient(lambda w: Outcome.of_several({"1": one(w), "2": two(w)}, {"1": 3.0, "2": 1.0}, examples=1).loss)
    assert torch.allclose(summed, gradient(lambda w: 3 * one(w), two))


@pytest.mark.parametrize(
    ("losses", "weights", "says"),
    [
        ({}, {}, "each loss needs a weight"),
        ({"a": torch.tensor(1.0)}, {"b": 1.0}, r"losses \['a'\], weights \['b'\]"),
        ({"a": torch.tensor(1.0)}, {"a": float("nan")}, "weight of loss 'a' must be finite"),
        ({"a": torch.ones(2)}, {"a": 1.0}, r"0-dim\), not of shape \(2,\)"),
    ],
)
def test_losses_that_cannot_be_summed_are_refused(losses, weights, says):
    with pytest.raises(ValueError, match=says):
        Outcome.of_several(losses, weights, examples=1)


def test_a_step_reports_the_parts_as_means_over_its_micro_batches():
    def two_losses(model, batch):
        loss = regression(model, batch).loss
        return Outcome.of_several({"fit": loss, "size": loss * 0 + batch[2]}, {"fit": 1.0, "size": 0.1}, examples=4)

    step = make_step(batch_size=lambda batch: batch[2])
    step.objective = two_losses
    (first,), (second,) = batches(1, factor=1.0), batches(1, factor=3.0)
    report = step.run([first, second])
    assert report.parts["size"] == pytest.approx(0.25 * 1 + 0.75 * 3)
    assert report.loss == pytest.approx(report.parts["fit"] + 0.1 * report.parts["size"], rel=1e-6)


def test_micro_batches_must_name_the_same_losses():
    named = [Outcome(loss=torch.tensor(1.0), examples=1, parts={name: torch.tensor(1.0)}) for name in "ab"]
    with pytest.raises(ValueError, match="name different losses"):
        mean_of_parts(named, (0.5, 0.5))
