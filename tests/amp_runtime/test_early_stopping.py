import contextlib
import math

import pytest
import torch

from amp_runtime.checkpoint import CheckpointError
from amp_runtime.early_stopping import EarlyStopping
from amp_runtime.history import ValidationRecord
from amp_runtime.loop import fit
from amp_runtime.metrics import Metrics
from amp_runtime.monitor import MONITORED, Monitor
from amp_runtime.retention import Checkpoints, latest_checkpoint
from tests.amp_runtime.problems import batches, make_step, same, weights


class Run:
    """As much of a run as early stopping looks at."""

    def __init__(self):
        self.step = make_step()
        self.validation = [()]
        self.ended = ""

    def stop(self, reason):
        self.ended = reason

    def measured(self):
        return contextlib.nullcontext()


def looks(stopping, figures):
    """Let it see one validation after another; returns after how many it stopped."""
    run = Run()
    stopping.on_start(run)
    for number, figure in enumerate(figures, 1):
        metrics = Metrics(loss=figure, examples=1, accuracy=figure)
        stopping.on_validation(ValidationRecord(step=number, epoch=1, metrics=metrics, seconds=1.0))
        if run.ended:
            return number, run.ended
    return len(figures), ""


def test_it_stops_after_so_many_looks_without_an_improvement():
    stopping = EarlyStopping(patience=2)
    number, reason = looks(stopping, [5, 4, 4.5, 3, 3, 3.5, 1])
    assert (number, stopping.best, stopping.best_step) == (6, 3, 4)
    assert reason == "validation_loss has not improved 2 times in a row: best 3 at step 4"


def test_an_improvement_must_be_larger_than_min_delta():
    assert looks(EarlyStopping(patience=1, min_delta=0.5), [5, 4.4, 3.9])[0] == 3
    assert looks(EarlyStopping(patience=1, min_delta=0.4), [5, 4.4, 3.9]) == (3, "")


def test_accuracy_is_better_when_higher_unless_said_otherwise():
    assert looks(EarlyStopping("validation_accuracy", patience=1), [0.1, 0.2, 0.3]) == (3, "")
    assert looks(EarlyStopping("validation_accuracy", patience=1, mode="min"), [0.1, 0.2, 0.3])[0] == 2
    assert looks(EarlyStopping("validation_loss", patience=1, mode="max"), [0.1, 0.2, 0.3]) == (3, "")


def test_nan_is_no_improvement_and_anything_beats_it():
    stopping = EarlyStopping(patience=3)
    assert looks(stopping, [math.nan, math.nan, 2.0, math.nan]) == (4, "")
    assert (stopping.best, stopping.waited) == (2.0, 1)
    number, reason = looks(EarlyStopping(patience=2), [math.nan, math.nan])
    assert (number, reason.endswith("it never was a number")) == (2, True)


def overfitting():
    """A run whose validation loss gets worse from the first epoch on: it learns the opposite of what is asked."""
    data = batches(4)
    return make_step(lr=0.3), data, [(inputs, -targets, factor) for inputs, targets, factor in data]


def test_the_best_weights_are_restored_and_the_model_keeps_its_mode():
    step, data, validation = overfitting()
    stopping = EarlyStopping(patience=3)
    history = fit(step, data, epochs=50, validation=validation, callbacks=[stopping])
    assert len(history.epochs) < 50
    assert history.ended.startswith("validation_loss has not improved 3 times")
    best = min(record.metrics.loss for record in history.validations)
    assert stopping.best == best < history.validations[-1].metrics.loss
    from amp_runtime.metrics import evaluate

    assert evaluate(step.model, validation, step.policy, step.objective).loss == best
    assert step.model.training


def test_without_restoring_the_last_weights_stay():
    step, data, validation = overfitting()
    stopping = EarlyStopping(patience=2, restore_best=False)
    history = fit(step, data, epochs=50, validation=validation, callbacks=[stopping])
    from amp_runtime.metrics import evaluate

    assert evaluate(step.model, validation, step.policy, step.objective) == history.validations[-1].metrics


def test_a_figure_of_training_can_be_watched_without_validation():
    stopping = EarlyStopping("train_loss", patience=2, min_delta=100.0)
    history = fit(make_step(), batches(2), epochs=10, callbacks=[stopping])
    assert len(history.epochs) == 3
    assert stopping.best == history.epochs[0].train.loss


def test_patience_and_best_weights_survive_a_resumption(tmp_path):
    def train(folder, epochs, resume=None):
        step, data, validation = overfitting()
        stopping = EarlyStopping(patience=4)
        callbacks = [Checkpoints(folder), stopping]
        history = fit(step, data, epochs=epochs, validation=validation, callbacks=callbacks, resume=resume)
        return step, history

    straight, expected = train(tmp_path / "straight", 50)
    _, first = train(tmp_path / "halves", 3)
    second, rest = train(tmp_path / "halves", 50, resume=latest_checkpoint(tmp_path / "halves"))
    assert len(first.epochs) + len(rest.epochs) == len(expected.epochs)
    assert rest.ended == expected.ended
    assert same(weights(second.model), weights(straight.model))


def test_a_checkpoint_that_watched_something_else_is_refused(tmp_path):
    data = batches(2)
    fit(make_step(), data, epochs=1, callbacks=[Checkpoints(tmp_path), EarlyStopping("train_loss")])
    step = make_step()
    before = weights(step.model)
    with pytest.raises(CheckpointError, match="the saved run watched train_loss, this one validation_loss"):
        fit(
            step,
            data,
            epochs=2,
            validation=data,
            callbacks=[Checkpoints(tmp_path), EarlyStopping()],
            resume=latest_checkpoint(tmp_path),
        )
    assert same(weights(step.model), before)


def test_a_validation_figure_needs_validation_data():
    with pytest.raises(ValueError, match="watches validation_loss, but fit was given no validation data"):
        fit(make_step(), batches(1), epochs=1, callbacks=[EarlyStopping()])


def test_an_accuracy_needs_an_objective_that_counts():
    with pytest.raises(ValueError, match="the objective does not count right predictions"):
        fit(make_step(), batches(1), epochs=1, callbacks=[EarlyStopping("train_accuracy")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience must be a whole number of at least 1"),
        ({"patience": True}, "patience must be a whole number"),
        ({"min_delta": -1.0}, "min_delta must be a finite number of at least 0"),
        ({"min_delta": math.nan}, "min_delta must be a finite number"),
        ({"monitor": "val_loss"}, "'val_loss' is not a figure of a run; use one of validation_loss"),
        ({"mode": "lowest"}, "mode must be 'min' or 'max'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**settings)


def test_every_figure_has_a_direction():
    assert [name for name in MONITORED if Monitor(name=name).higher_is_better] == [
        "validation_accuracy",
        "train_accuracy",
    ]


def test_the_saved_copy_is_no_view_of_the_weights():
    step, data, validation = overfitting()
    stopping = EarlyStopping(patience=1)
    fit(step, data, epochs=3, validation=validation, callbacks=[stopping])
    held = stopping.state_dict()["best_state"]["0.weight"]
    with torch.no_grad():
        step.model[0].weight.add_(1)
    assert not torch.equal(held, step.model[0].weight)


def test_averaged_weights_are_validated_and_restored_where_that_is_wanted():
    from amp_runtime.ema import ExponentialMovingAverage
    from amp_runtime.metrics import evaluate

    step, data, _ = overfitting()
    step.ema = ExponentialMovingAverage(step.model, decay=0.9)
    raw, averaged = fit_measured(step, data, validate_averaged=False), fit_measured(step, data, validate_averaged=True)
    with step.ema.swapped():
        expected = evaluate(step.model, data, step.policy, step.objective)
    assert averaged.validations[-1].metrics == expected
    assert evaluate(step.model, data, step.policy, step.objective) != expected
    assert raw.validations[-1].metrics != averaged.validations[-1].metrics
    stopping = EarlyStopping(patience=5)
    last = fit_measured(step, data, validate_averaged=True, callbacks=[stopping])
    best = min(record.metrics.loss for record in last.validations)
    assert evaluate(step.model, data, step.policy, step.objective).loss == stopping.best == best


def fit_measured(step, data, **settings):
    return fit(step, data, epochs=2, validation=data, progress=False, **settings)


def test_averaged_weights_of_a_step_that_has_none_are_refused():
    with pytest.raises(ValueError, match="the step has no EMA"):
        fit(make_step(), batches(1), epochs=1, validation=batches(1), validate_averaged=True)
