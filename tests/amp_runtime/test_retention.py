import logging

import pytest
import torch

from amp_runtime.callbacks import Callback
from amp_runtime.checkpoint import CheckpointError, load_checkpoint, read_info
from amp_runtime.loop import fit
from amp_runtime.retention import Checkpoints, best_checkpoint, latest_checkpoint
from tests.amp_runtime.problems import batches, make_step, same, weights


def steps_in(folder):
    return sorted(read_info(path).step for path in folder.iterdir())


def worse_every_time(count):
    """Validation data on which the loss of every next validation is higher, whatever the model does."""

    class Worse:
        seen = 0

        def __iter__(self):
            Worse.seen += 1
            return iter(batches(1, factor=10.0**Worse.seen))

    return Worse()


def test_the_newest_are_kept_and_the_last_step_always(tmp_path):
    fit(make_step(), batches(5), epochs=1, callbacks=[Checkpoints(tmp_path, every_steps=2, keep_last=2)])
    assert steps_in(tmp_path) == [4, 5]
    assert latest_checkpoint(tmp_path) == tmp_path / "step-0000000005"


def test_the_best_is_kept_beside_the_newest(tmp_path):
    kept = Checkpoints(tmp_path, keep_last=2, keep_best=1)
    history = fit(make_step(), batches(1), epochs=5, validation=worse_every_time(5), callbacks=[kept])
    assert steps_in(tmp_path) == [1, 4, 5]
    best = best_checkpoint(tmp_path)
    assert best == tmp_path / "step-0000000001"
    assert read_info(best).metrics == {"validation_loss": history.validations[0].metrics.loss}
    assert best_checkpoint(tmp_path, mode="max") == tmp_path / "step-0000000005"


def test_a_new_best_is_written_when_it_is_seen_even_in_the_middle_of_an_epoch(tmp_path):
    kept = Checkpoints(tmp_path, keep_last=1, keep_best=1, every_epochs=None)
    fit(make_step(), batches(6), epochs=1, validation=worse_every_time(9), validate_every=2, callbacks=[kept])
    assert steps_in(tmp_path) == [2, 6]


def test_a_figure_of_another_step_is_not_taken_for_that_of_a_checkpoint(tmp_path):
    kept = Checkpoints(tmp_path, every_steps=1, keep_last=10)
    fit(make_step(), batches(4), epochs=1, validation=batches(1), validate_every=2, callbacks=[kept])
    assert [bool(read_info(path).metrics) for path in sorted(tmp_path.iterdir())] == [False, True, False, True]


def test_the_best_before_a_resumption_stays_the_best(tmp_path):
    validation = worse_every_time(9)
    kept = {"keep_last": 1, "keep_best": 1}
    fit(make_step(), batches(1), epochs=2, validation=validation, callbacks=[Checkpoints(tmp_path, **kept)])
    fit(
        make_step(),
        batches(1),
        epochs=4,
        validation=validation,
        callbacks=[Checkpoints(tmp_path, **kept)],
        resume=latest_checkpoint(tmp_path),
    )
    assert steps_in(tmp_path) == [1, 4]


def test_a_figure_of_training_can_decide(tmp_path):
    kept = Checkpoints(tmp_path, monitor="train_loss", keep_last=1)
    history = fit(make_step(lr=0.01), batches(2), epochs=3, callbacks=[kept])
    assert read_info(best_checkpoint(tmp_path, "train_loss")).metrics["train_loss"] == min(
        epoch.train.loss for epoch in history.epochs
    )


def test_a_checkpoint_holds_the_run_of_that_moment(tmp_path):
    step = make_step()
    fit(step, batches(3), epochs=1, callbacks=[Checkpoints(tmp_path)])
    again = make_step()
    fit(again, batches(3), epochs=1, resume=latest_checkpoint(tmp_path))
    assert same(weights(again.model), weights(step.model))
    assert again.number == 3


class Average:
    def __init__(self):
        self.value = torch.zeros(1)

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def test_what_else_has_a_state_is_kept_by_name(tmp_path):
    average, fresh = Average(), Average()
    average.value += 3
    fit(make_step(), batches(1), epochs=1, callbacks=[Checkpoints(tmp_path)], stateful={"ema": average})
    path = latest_checkpoint(tmp_path)
    assert read_info(path).objects == ("ema", "run")
    fit(make_step(), batches(1), epochs=1, resume=path, stateful={"ema": fresh})
    assert fresh.value.item() == 3
    with pytest.raises(CheckpointError, match="'ema'"):
        fit(make_step(), batches(1), epochs=1, resume=path)


def test_a_checkpoint_that_the_loop_did_not_write_cannot_be_resumed_by_it(tmp_path):
    from amp_runtime.checkpoint import save_checkpoint

    save_checkpoint(tmp_path / "mine", make_step())
    with pytest.raises(CheckpointError, match="no state of 'run', which this run needs"):
        fit(make_step(), batches(1), epochs=1, resume=tmp_path / "mine")


def test_the_folder_of_another_run_is_refused_before_anything_is_trained_or_deleted(tmp_path):
    fit(make_step(), batches(3), epochs=1, callbacks=[Checkpoints(tmp_path, every_steps=1)])
    step = make_step()
    with pytest.raises(
        ValueError, match=r"up to step 3, and this run starts after step 0: resume from step-0000000003"
    ):
        fit(step, batches(1), epochs=1, callbacks=[Checkpoints(tmp_path)])
    assert step.number == 0
    assert steps_in(tmp_path) == [1, 2, 3]


def test_less_data_than_before_is_said_when_resuming(tmp_path):
    fit(make_step(), batches(5), max_steps=4, callbacks=[Checkpoints(tmp_path)])
    with pytest.raises(ValueError, match="left after 4 batches, but now has only 2"):
        fit(make_step(), batches(2), epochs=1, resume=latest_checkpoint(tmp_path))


class Stranger(Callback):
    def state_dict(self):
        return {"seen": 1}


def test_listeners_come_and_go_between_runs_and_that_is_said(tmp_path, caplog):
    from amp_runtime.early_stopping import EarlyStopping

    fit(make_step(), batches(1), epochs=1, callbacks=[Checkpoints(tmp_path), EarlyStopping("train_loss")])
    with caplog.at_level(logging.WARNING):
        fit(make_step(), batches(1), epochs=1, callbacks=[Stranger()], resume=latest_checkpoint(tmp_path))
    assert "the checkpoint knows no Stranger, which starts afresh" in caplog.text
    assert "the checkpoint has the state of EarlyStopping, which this run does not have: it is dropped" in caplog.text


def test_a_folder_that_does_not_exist_has_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / "absent") is None
    assert best_checkpoint(tmp_path / "absent") is None


def test_what_a_crash_left_half_written_does_not_count_and_is_cleared_away(tmp_path):
    half = tmp_path / "step-0000000009"
    half.mkdir()
    (half / f".{'a' * 32}.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    assert latest_checkpoint(tmp_path) is None
    fit(make_step(), batches(1), epochs=1, callbacks=[Checkpoints(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "step-0000000001"]


def test_a_damaged_newest_checkpoint_is_an_error_and_no_older_one_is_taken_in_silence(tmp_path):
    fit(make_step(), batches(2), epochs=1, callbacks=[Checkpoints(tmp_path, every_steps=1)])
    manifest = latest_checkpoint(tmp_path) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"step-0000000002/manifest\.json is damaged"):
        latest_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["every_steps", "every_epochs", "keep_last"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        Checkpoints("run", **{name: 0})


def test_a_checkpoint_of_the_loop_can_be_read_by_load_checkpoint_when_its_objects_are_given(tmp_path):
    fit(make_step(), batches(1), epochs=1, callbacks=[Checkpoints(tmp_path)])
    with pytest.raises(CheckpointError, match="the state of 'run'"):
        load_checkpoint(latest_checkpoint(tmp_path), make_step())


class Plateau(Callback):
    """A schedule that follows a metric, as its owner drives it."""

    def __init__(self, step):
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(step.optimizer, patience=1, threshold=10.0)

    def on_validation(self, record):
        self.schedule.step(record.metrics.loss)


def test_a_schedule_that_follows_a_metric_goes_on_too(tmp_path):
    def train(folder, epochs, *, resume=False):
        step = make_step(lr=0.01)
        plateau = Plateau(step)
        history = fit(
            step,
            batches(2),
            epochs=epochs,
            validation=batches(1),
            callbacks=[plateau, Checkpoints(folder)],
            stateful={"plateau": plateau.schedule},
            resume=latest_checkpoint(folder) if resume else None,
        )
        return [record.lr for record in history.steps]

    straight = train(tmp_path / "straight", 7)
    assert train(tmp_path / "halves", 3) + train(tmp_path / "halves", 7, resume=True) == straight
    assert len(set(straight)) > 2
