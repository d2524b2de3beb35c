import json
import logging
import math

import pytest
import torch

from amp_runtime.loop import fit
from amp_runtime.objective import classification
from amp_runtime.policy import Fp32Policy
from amp_runtime.retention import Checkpoints, latest_checkpoint
from amp_runtime.step import NonFiniteError, StepOptions, TrainingStep
from amp_runtime.trackers import CsvTracker, JsonlTracker, Tracker, Tracking
from tests.amp_runtime.problems import OVERFLOW, SCALE, batches, fp16, make_step


class Memory(Tracker):
    """Keeps what it gets."""

    def __init__(self):
        self.facts, self.logged, self.closed = {}, [], 0

    def config(self, values):
        self.facts.update(values)

    def log(self, step, values):
        self.logged.append((step, dict(values)))

    def close(self):
        self.closed += 1

    def figures(self, name):
        return [(step, values[name]) for step, values in self.logged if name in values]


def test_everything_of_a_run_is_sent():
    memory = Memory()
    data = batches(4)
    data[1] = (*data[1][:2], OVERFLOW)
    step = make_step(fp16(), options=StepOptions(clip_norm=1.0))
    tracking = Tracking(memory, config={"dataset": {"name": "noise"}, "path": "/home/me/data"})
    history = fit(step, data, epochs=2, validation=batches(1), callbacks=[tracking])
    assert memory.figures("train/loss") == [(record.number, record.loss) for record in history.steps]
    assert memory.figures("train/lr") == [(number, 0.1) for number in range(1, 9)]
    assert memory.figures("train/loss_scale")[:3] == [(1, SCALE), (2, SCALE), (3, SCALE / 2)]
    assert memory.figures("train/skipped") == [(record.number, float(record.skipped)) for record in history.steps]
    assert memory.figures("train/skipped_total")[-1] == (8, float(len(history.overflows)))
    assert not math.isfinite(memory.figures("train/grad_norm")[1][1])
    assert all(figure > 0 for _, figure in memory.figures("throughput/examples_per_s"))
    assert memory.figures("validation/loss") == [(v.step, v.metrics.loss) for v in history.validations]
    assert memory.figures("epoch/train/loss") == [(4, history.epochs[0].train.loss), (8, history.epochs[1].train.loss)]
    assert [step for step, figure in memory.figures("memory/host_bytes") if figure > 1e6] == [4, 8]
    facts = memory.facts
    assert (facts["precision"], facts["device"], facts["model"], facts["init_scale"]) == (
        "fp16",
        "cpu",
        "Sequential",
        SCALE,
    )
    assert (facts["parameters"], facts["optimizer.type"], facts["optimizer.momentum"]) == (161, "SGD", 0.9)
    assert (facts["clip_norm"], facts["dataset.name"], facts["path"]) == (1.0, "noise", "data")
    assert facts["ended"] == "all epochs were trained"
    assert memory.closed == 1
    steps = [step for step, _ in memory.logged]
    assert steps == sorted(steps)


def test_accuracy_is_sent_where_it_is_counted_and_no_scale_where_there_is_none():
    memory = Memory()
    model = torch.nn.Linear(8, 2)
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), Fp32Policy(), classification)
    data = [(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))]
    fit(step, data, epochs=1, validation=data, callbacks=[Tracking(memory)])
    assert len(memory.figures("validation/accuracy")) == len(memory.figures("epoch/train/accuracy")) == 1
    assert memory.figures("train/loss_scale") == []
    assert "init_scale" not in memory.facts


def test_fewer_steps_can_be_sent_but_never_fewer_skipped_ones():
    memory = Memory()
    data = batches(10)
    data[4] = (*data[4][:2], OVERFLOW)
    fit(make_step(fp16()), data, epochs=1, callbacks=[Tracking(memory, every=4)])
    assert [step for step, _ in memory.figures("train/loss")] == [4, 5, 8]


class Failing(Memory):
    def __init__(self, where):
        super().__init__()
        self.where = where

    def config(self, values):
        super().config(values)
        self._perhaps("config")

    def log(self, step, values):
        super().log(step, values)
        if step >= 3:
            self._perhaps("log")

    def close(self):
        super().close()
        self._perhaps("close")

    def _perhaps(self, where):
        if self.where == where:
            raise ConnectionError("the service is gone")


@pytest.mark.parametrize(("where", "told"), [("config", "config"), ("log", "log of step 3"), ("close", "close")])
def test_a_tracker_that_fails_stops_nothing_and_is_told_of_once(where, told, caplog, capsys):
    failing, well = Failing(where), Memory()
    with caplog.at_level(logging.WARNING):
        history = fit(make_step(), batches(6), epochs=2, callbacks=[Tracking(failing, well)])
    assert len(history.steps) == 12
    assert len(well.figures("train/loss")) == 12
    sentence = f"Failing failed at {told} and gets nothing more: ConnectionError: the service is gone"
    assert history.failures == (sentence,)
    assert caplog.text.count(sentence) == 1
    assert "1 of 2 trackers failed during this run" in caplog.text
    if where != "close":
        assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert len(failing.figures("train/loss")) == {"config": 0, "log": 3, "close": 12}[where]
    assert failing.closed == 1


class Broken(Failing):
    def close(self):
        raise OSError("no such file")


def test_one_that_cannot_even_be_closed_is_told_of_in_the_same_sentence():
    history = fit(make_step(), batches(3), epochs=1, callbacks=[Tracking(Broken("log"))])
    (sentence,) = history.failures
    assert sentence.endswith("ConnectionError: the service is gone; closing it failed too: OSError: no such file")


def test_a_full_disk_is_a_failure_like_any_other(tmp_path):
    (tmp_path / "file").write_text("")
    tracking = Tracking(JsonlTracker(tmp_path / "file" / "run.jsonl"), JsonlTracker(tmp_path / "good.jsonl"))
    history = fit(make_step(), batches(2), epochs=1, callbacks=[tracking])
    assert history.failures[0].startswith("JsonlTracker failed at config and gets nothing more: ")
    assert len((tmp_path / "good.jsonl").read_text().splitlines()) > 3


def test_trackers_are_closed_when_training_ends_by_an_exception():
    memory = Memory()
    data = batches(3)
    data[2] = (*data[2][:2], math.nan)
    with pytest.raises(NonFiniteError):
        fit(make_step(), data, epochs=1, callbacks=[Tracking(memory)])
    assert memory.closed == 1
    assert memory.facts["ended"].startswith("NonFiniteError: step 3")
    assert [step for step, _ in memory.figures("train/loss")] == [1, 2]


def test_ctrl_c_is_no_failure_of_a_tracker():
    class Interrupted(Memory):
        def log(self, step, values):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(make_step(), batches(2), epochs=1, callbacks=[Tracking(Interrupted())])


def test_results_of_a_benchmark_are_figures_and_facts():
    memory = Memory()
    tracking = Tracking(memory)
    result = {"speedup": 1.7, "requirements_met": True, "samples": 9, "device": "cpu at /home/me", "none": None}
    tracking.log_facts("benchmark", result, step=5)
    tracking.close()
    assert memory.logged == [
        (5, {"benchmark/speedup": 1.7, "benchmark/requirements_met": 1.0, "benchmark/samples": 9.0})
    ]
    assert memory.facts == {"benchmark/device": "cpu at me"}


def test_a_resumed_run_counts_its_skipped_steps_on(tmp_path):
    data = [*batches(2), *batches(1, factor=OVERFLOW)]
    first, second = Memory(), Memory()
    fit(make_step(fp16()), data, epochs=1, callbacks=[Checkpoints(tmp_path), Tracking(first)])
    path = latest_checkpoint(tmp_path)
    fit(make_step(fp16()), data, epochs=2, callbacks=[Checkpoints(tmp_path), Tracking(second)], resume=path)
    assert second.figures("train/skipped_total")[-1] == (6, 2.0)
    assert second.facts["resumed_after_step"] == 3


def test_the_same_run_in_csv_and_json_lines(tmp_path):
    import pandas as pd

    tracking = Tracking(CsvTracker(tmp_path / "run.csv"), JsonlTracker(tmp_path / "run.jsonl"))
    history = fit(make_step(), batches(5), epochs=2, validation=batches(1), callbacks=[tracking])
    table = pd.read_csv(tmp_path / "run.csv")
    losses = table.dropna(subset=["train/loss"])
    assert losses["train/loss"].tolist() == [record.loss for record in history.steps]
    assert losses["step"].tolist() == list(range(1, 11))
    logged = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["train/loss"] for line in logged if "train/loss" in line] == losses["train/loss"].tolist()


def test_sending_no_step_at_all_is_refused():
    with pytest.raises(ValueError, match="every must be at least 1 step, not 0"):
        Tracking(Memory(), every=0)
