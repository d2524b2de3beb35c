import logging

import pytest
import torch
from torch import nn

from amp_runtime.callbacks import Callback
from amp_runtime.loop import fit
from amp_runtime.metrics import evaluate
from amp_runtime.objective import classification
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import TrainingStep
from tests.amp_runtime.problems import OVERFLOW, SCALE, batches, fp16, make_step, same, weights


def points(count=256):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(count, 8, generator=generator)
    return inputs, (inputs[:, 0] > 0).long()


def classifier(policy=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return TrainingStep(model, optimizer, policy or Fp32Policy(), classification)


def split(inputs, targets, size=32):
    return list(zip(inputs.split(size), targets.split(size), strict=True))


@pytest.mark.parametrize("policy", [Fp32Policy, Bf16Policy, Fp16Policy])
def test_a_classifier_learns_and_the_history_shows_it(policy):
    step = classifier(policy())
    data = split(*points())
    history = fit(step, data[:6], epochs=8, validation=data[6:])
    first, last = history.epochs[0], history.epochs[-1]
    assert last.train.loss < 0.6 * first.train.loss
    assert last.validation.accuracy > 0.8
    assert last.validation.perplexity < 2
    assert len(history.steps) == 8 * 6
    assert [record.number for record in history.steps] == list(range(1, 49))
    assert last.examples_per_s > 0


def test_the_models_own_modes_come_back():
    step = classifier()
    step.model.train()
    step.model[1].eval()
    before = [module.training for module in step.model.modules()]
    data = split(*points(64))
    fit(step, data, epochs=1, validation=data)
    assert [module.training for module in step.model.modules()] == before


def test_a_model_that_came_in_eval_mode_is_trained_in_train_mode():
    step = classifier()
    step.model.eval()
    before = step.model[1].running_mean.clone()
    fit(step, split(*points(64)), epochs=1)
    assert not torch.equal(step.model[1].running_mean, before)
    assert not step.model.training


def test_validation_changes_neither_weights_nor_statistics():
    data = split(*points(64))
    with_validation, without = classifier(), classifier()
    torch.manual_seed(7)
    fit(with_validation, data, epochs=2, validation=data)
    torch.manual_seed(7)
    fit(without, data, epochs=2)
    assert same(weights(with_validation.model), weights(without.model))
    assert same(list(with_validation.model.buffers()), list(without.model.buffers()))


def test_validation_is_measured_on_its_own_data_after_the_epoch():
    step, data = classifier(), split(*points())
    history = fit(step, data[:2], epochs=1, validation=data[5:])
    assert history.epochs[0].validation == evaluate(step.model, data[5:], step.policy, step.objective)


def test_training_leaves_no_gradients_behind():
    step = make_step()
    fit(step, batches(2), epochs=1)
    assert all(parameter.grad is None for parameter in step.model.parameters())


def test_accumulation_makes_fewer_steps_and_keeps_the_rest_of_an_epoch():
    history = fit(make_step(), batches(7), epochs=1, accumulation=3)
    assert history.epochs[0].steps == 3
    assert history.epochs[0].train.examples == 28


def test_skipped_steps_are_counted_and_do_not_spoil_the_mean_loss():
    data = batches(4)
    data[1] = (*data[1][:2], float("inf"))
    history = fit(make_step(fp16()), data, epochs=1)
    (epoch,) = history.epochs
    assert (epoch.steps, epoch.skipped) == (4, 1)
    assert epoch.train.loss < 10
    assert [step.skipped for step in history.steps] == [False, True, False, False]
    assert history.scales == (SCALE, SCALE, SCALE / 2, SCALE / 2)


def test_an_epoch_in_which_nothing_trained_has_no_metrics():
    history = fit(make_step(Fp16Policy()), batches(2, factor=OVERFLOW), epochs=1)
    assert history.epochs[0].train is None
    assert history.epochs[0].skipped == 2


def test_without_scaling_there_are_no_scales():
    assert fit(make_step(), batches(2), epochs=1).scales == ()


class Ear(Callback):
    def __init__(self):
        self.heard = []

    def on_step(self, report):
        self.heard.append(("step", report.number))

    def on_epoch(self, record):
        self.heard.append(("epoch", record.epoch))


def test_callbacks_hear_steps_and_epochs_in_order():
    ear = Ear()
    fit(make_step(), batches(2), epochs=2, callbacks=[Callback(), ear], first_epoch=5)
    assert ear.heard == [("step", 1), ("step", 2), ("epoch", 5), ("step", 3), ("step", 4), ("epoch", 6)]


def test_long_epochs_are_read_in_parts_without_losing_a_step():
    history = fit(make_step(lr=0.001), batches(130), epochs=1)
    assert [step.number for step in history.steps] == list(range(1, 131))


def test_a_used_up_generator_is_an_error_and_no_silent_epoch():
    with pytest.raises(ValueError, match="epoch 2 had no batches"):
        fit(make_step(), iter(batches(2)), epochs=2)


def test_no_epochs_is_refused():
    with pytest.raises(ValueError, match="at least one epoch"):
        fit(make_step(), batches(1), epochs=0)


def test_progress_is_logged_and_not_printed(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="amp_runtime"):
        fit(make_step(fp16()), batches(2), epochs=1, validation=batches(1))
    assert "epoch 1: 2 steps, 0 skipped; train loss" in caplog.text
    assert "loss scale 1024" in caplog.text
    assert capsys.readouterr().out == ""
