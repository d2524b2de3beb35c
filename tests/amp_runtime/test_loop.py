import logging
import math
import time

import pytest
import torch
from torch import nn

from amp_runtime.callbacks import Callback
from amp_runtime.loop import fit
from amp_runtime.metrics import evaluate
from amp_runtime.objective import classification
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy
from amp_runtime.step import NonFinite, NonFiniteError, StepOptions, TrainingStep
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

    def on_start(self, run):
        self.heard.append(("start", run.step.number))

    def on_step(self, report):
        self.heard.append(("step", report.number))

    def on_records(self, records):
        self.heard.append(("records", len(records)))

    def on_validation(self, record):
        self.heard.append(("validation", record.step))

    def on_epoch(self, record):
        self.heard.append(("epoch", record.epoch))

    def on_settled(self):
        self.heard.append(("settled",))

    def on_exception(self, error, history):
        self.heard.append(("exception", type(error).__name__, len(history.steps)))

    def on_end(self, history):
        self.heard.append(("end", history.ended))

    def without(self, *kinds):
        return [event for event in self.heard if event[0] not in kinds]


def test_callbacks_hear_everything_in_order():
    ear = Ear()
    fit(make_step(), batches(2), epochs=2, validation=batches(1), callbacks=[Callback(), ear], first_epoch=5)
    assert ear.heard == [
        ("start", 0),
        ("step", 1), ("settled",), ("step", 2), ("settled",),
        ("records", 2), ("validation", 2), ("epoch", 5), ("settled",),
        ("step", 3), ("settled",), ("step", 4), ("settled",),
        ("records", 2), ("validation", 4), ("epoch", 6), ("settled",),
        ("end", "all epochs were trained"),
    ]  # fmt: skip


def test_validation_every_so_many_steps_and_never_twice_for_the_same_weights():
    ear = Ear()
    data = batches(4)
    history = fit(make_step(), data, epochs=2, validation=data, validate_every=2, callbacks=[ear])
    assert [record.step for record in history.validations] == [2, 4, 6, 8]
    assert ear.without("records", "settled", "start", "end") == [
        ("step", 1), ("step", 2), ("validation", 2), ("step", 3), ("step", 4), ("validation", 4), ("epoch", 1),
        ("step", 5), ("step", 6), ("validation", 6), ("step", 7), ("step", 8), ("validation", 8), ("epoch", 2),
    ]  # fmt: skip
    assert [epoch.validation for epoch in history.epochs] == [
        history.validations[1].metrics,
        history.validations[3].metrics,
    ]
    assert all(record.seconds > 0 for record in history.validations)


def test_validation_in_the_middle_of_an_epoch_changes_nothing():
    def train(**settings):
        step = classifier()
        torch.manual_seed(7)
        history = fit(step, split(*points(64), size=8), epochs=2, **settings)
        return step, [record.loss for record in history.steps]

    # A loader draws from the global generator whenever it is opened.
    loader = torch.utils.data.DataLoader(split(*points(32)), batch_size=None, shuffle=True)
    step, losses = train(validation=loader, validate_every=3)
    plain, expected = train()
    assert losses == expected
    assert same(weights(step.model), weights(plain.model))
    assert same(list(step.model.buffers()), list(plain.model.buffers()))


class Modes(Callback):
    def __init__(self, step):
        self.seen = []
        self.step = step

    def on_step(self, report):
        self.seen.append([module.training for module in self.step.model.modules()])


def test_after_a_validation_in_an_epoch_the_model_trains_on_in_train_mode():
    step = classifier()
    modes = Modes(step)
    data = split(*points(96))
    fit(step, data, epochs=1, validation=data, validate_every=1, callbacks=[modes])
    assert len(modes.seen) == 3
    assert all(all(seen) for seen in modes.seen)


def test_no_hyper_parameter_is_changed():
    step = make_step()
    before = [
        {name: value for name, value in group.items() if name != "params"} for group in step.optimizer.param_groups
    ]
    fit(step, batches(4), epochs=2, validation=batches(1), validate_every=1, accumulation=2)
    assert [
        {name: value for name, value in group.items() if name != "params"} for group in step.optimizer.param_groups
    ] == before


def test_training_ends_at_max_steps_and_the_part_of_the_epoch_is_recorded():
    step = make_step()
    history = fit(step, batches(4), max_steps=6, validation=batches(1))
    assert history.ended == "step 6 reached max_steps"
    assert [(epoch.epoch, epoch.steps, epoch.step) for epoch in history.epochs] == [(1, 4, 4), (2, 2, 6)]
    assert [record.step for record in history.validations] == [4, 6]
    again = fit(step, batches(4), max_steps=6)
    assert (again.steps, again.ended) == ((), "step 6 had reached max_steps before training began")


def test_whichever_of_epochs_and_max_steps_comes_first_ends_training():
    assert len(fit(make_step(), batches(2), epochs=5, max_steps=3).steps) == 3
    assert fit(make_step(), batches(2), epochs=1, max_steps=3).ended == "all epochs were trained"


class Stopper(Callback):
    def on_start(self, run):
        self.run = run

    def on_step(self, report):
        if report.number == 3:
            self.run.stop("enough")
            self.run.stop("more than enough")


def test_a_callback_can_end_training():
    history = fit(make_step(), batches(10), epochs=2, callbacks=[Stopper()])
    assert (len(history.steps), history.ended, history.interrupted) == (3, "enough", False)


def test_a_non_finite_loss_ends_training_and_listeners_hear_of_it():
    ear = Ear()
    data = batches(5)
    data[3] = (*data[3][:2], float("nan"))
    step = make_step()
    with pytest.raises(NonFiniteError):
        fit(step, data, epochs=1, callbacks=[ear])
    assert ear.heard[-1] == ("exception", "NonFiniteError", 3)
    assert not any(event[0] == "end" for event in ear.heard)
    assert step.model.training


def test_steps_withheld_by_the_non_finite_policy_are_in_the_history():
    data = batches(4)
    data[1] = (*data[1][:2], float("nan"))
    history = fit(make_step(options=StepOptions(nonfinite=NonFinite.SKIP)), data, epochs=1)
    assert history.withheld == (2,)
    assert history.overflows == ()
    assert (history.epochs[0].skipped, history.epochs[0].withheld) == (1, 1)
    assert math.isnan(history.steps[1].loss)
    assert math.isfinite(history.epochs[0].train.loss)


def test_non_finite_values_that_were_ignored_are_in_the_history_too():
    data = batches(2)
    data[0] = (*data[0][:2], float("nan"))
    history = fit(make_step(options=StepOptions(nonfinite=NonFinite.IGNORE)), data, epochs=1)
    assert math.isnan(history.epochs[0].train.loss)
    assert history.withheld == ()


class Clumsy(Callback):
    def on_exception(self, error, history):
        raise OSError("the disk is full")


def test_a_listener_that_fails_at_an_exception_hides_it_from_nobody():
    ear = Ear()
    with pytest.raises(NonFiniteError) as caught:
        fit(make_step(), batches(1, factor=float("nan")), epochs=1, callbacks=[Clumsy(), ear])
    assert caught.value.__notes__ == ["Clumsy.on_exception failed: OSError: the disk is full"]
    assert ear.heard[-1][0] == "exception"


def test_times_add_up():
    class Slow:
        def __iter__(self):
            for batch in batches(3):
                time.sleep(0.02)
                yield batch

    start = time.perf_counter()
    (epoch,) = (history := fit(make_step(), Slow(), epochs=1)).epochs
    whole = time.perf_counter() - start
    assert all(record.wait_s >= 0.02 and record.step_s > 0 for record in history.steps)
    total = sum(record.wait_s + record.step_s for record in history.steps)
    assert total <= epoch.step_time_s * epoch.steps < whole
    assert epoch.examples_per_s == pytest.approx(12 / (epoch.step_time_s * 3))


def test_long_epochs_are_read_in_parts_without_losing_a_step():
    history = fit(make_step(lr=0.001), batches(130), epochs=1)
    assert [step.number for step in history.steps] == list(range(1, 131))


def test_a_used_up_generator_is_an_error_and_no_silent_epoch():
    with pytest.raises(ValueError, match="epoch 2 had no batches"):
        fit(make_step(), iter(batches(2)), epochs=2)


def test_validation_data_that_is_used_up_is_an_error_and_no_silent_nothing():
    with pytest.raises(ValueError, match="validation after step 2 had no batches"):
        fit(make_step(), batches(1), epochs=2, validation=iter(batches(1)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "at least one epoch, not 0"),
        ({}, "needs an end: give epochs, max_steps or both"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"epochs": 1, "validate_every": 0}, "validate_every must be at least 1 step"),
        ({"epochs": 1, "accumulation": 0}, "at least one micro-batch"),
    ],
)
def test_figures_with_which_there_is_nothing_to_do_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        fit(make_step(), batches(1), **settings)


def test_progress_is_logged_and_not_printed(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="amp_runtime"):
        fit(make_step(fp16()), batches(2), epochs=1, validation=batches(1))
    assert "epoch 1: 2 steps, 0 skipped; train loss" in caplog.text
    assert "loss scale 1024" in caplog.text
    assert capsys.readouterr().out == ""
