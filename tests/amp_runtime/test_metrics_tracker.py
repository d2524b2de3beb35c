import math

import pandas as pd
import pytest
import torch

from amp_runtime.loop import fit
from amp_runtime.metrics_tracker import MetricsTracker
from amp_runtime.objective import classification
from amp_runtime.policy import Fp32Policy
from amp_runtime.retention import Checkpoints, latest_checkpoint
from amp_runtime.step import TrainingStep
from tests.amp_runtime.problems import OVERFLOW, SCALE, batches, fp16, make_step


def run(**settings):
    tracker = MetricsTracker()
    data = batches(4)
    data[1] = (*data[1][:2], OVERFLOW)
    history = fit(make_step(fp16()), data, epochs=2, validation=batches(1), callbacks=[tracker], **settings)
    return tracker, history


def test_pandas_takes_the_records_as_they_are():
    tracker, history = run()
    table = pd.DataFrame(tracker.records())
    assert table["step"].tolist() == list(range(1, 9))
    assert table["train_loss"].tolist() == [record.loss for record in history.steps]
    assert table["loss_scale"].tolist() == list(history.scales)
    assert table["skipped"].tolist() == [record.skipped for record in history.steps]
    measured = table.dropna(subset=["validation_loss"])
    assert measured["step"].tolist() == [4, 8]
    assert measured["validation_perplexity"].tolist() == [v.metrics.perplexity for v in history.validations]
    assert table.dropna(subset=["epoch_train_loss"])["epoch_train_loss"].tolist() == [
        epoch.train.loss for epoch in history.epochs
    ]


def test_every_column_has_one_type_whether_or_not_it_was_measured():
    def types(records):
        return pd.DataFrame(records).dtypes.astype(str).to_dict()

    tracker, _ = run()
    plain = MetricsTracker()
    fit(make_step(), batches(2), epochs=1, callbacks=[plain])
    assert types(tracker.records()) == types(plain.records())
    kinds = types(plain.records())
    assert (kinds["step"], kinds["epoch"], kinds["examples"]) == ("int64", "int64", "int64")
    assert (kinds["skipped"], kinds["withheld"]) == ("bool", "bool")
    assert {kind for name, kind in kinds.items() if name.endswith(("loss", "norm", "scale", "_s"))} == {"float64"}


def test_columns_and_records_are_the_same_table():
    tracker, _ = run()
    pd.testing.assert_frame_equal(pd.DataFrame(tracker.columns()), pd.DataFrame(tracker.records()))


def test_a_table_can_be_made_of_a_history_afterwards():
    tracker, history = run()
    pd.testing.assert_frame_equal(pd.DataFrame(MetricsTracker.of(history).records()), pd.DataFrame(tracker.records()))


def test_figures_of_your_own_are_columns_too():
    tracker, _ = run()
    tracker.log(4, bleu=0.5)
    tracker.log(9, bleu=1)
    table = pd.DataFrame(tracker.records()).set_index("step")
    assert table["bleu"].dropna().to_dict() == {4: 0.5, 9: 1.0}
    assert math.isnan(table.loc[9, "train_loss"])
    with pytest.raises(ValueError, match="the column 'lr' is filled by the run itself"):
        tracker.log(4, lr=0.5)


def test_accuracies_are_in_it():
    model = torch.nn.Linear(8, 2)
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), Fp32Policy(), classification)
    data = [(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))]
    tracker = MetricsTracker()
    history = fit(step, data, epochs=1, validation=data, callbacks=[tracker])
    (record,) = tracker.records()
    assert record["epoch_train_accuracy"] == history.epochs[0].train.accuracy
    assert record["validation_accuracy"] == history.validations[0].metrics.accuracy


def test_a_resumed_run_has_the_whole_table(tmp_path):
    whole, first, second = MetricsTracker(), MetricsTracker(), MetricsTracker()
    data, settings = batches(3), {"validation": batches(1)}
    fit(make_step(fp16()), data, epochs=2, callbacks=[whole], **settings)
    fit(make_step(fp16()), data, epochs=1, callbacks=[Checkpoints(tmp_path), first], **settings)
    first.log(2, mine=3.0)
    path = latest_checkpoint(tmp_path)
    fit(make_step(fp16()), data, epochs=2, callbacks=[Checkpoints(tmp_path), second], resume=path, **settings)
    times = ["step_s", "wait_s", "epoch_examples_per_s"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(second.records()).drop(columns=times), pd.DataFrame(whole.records()).drop(columns=times)
    )
    assert second.records()[0]["loss_scale"] == SCALE


def test_columns_of_your_own_survive_a_checkpoint():
    tracker, other = MetricsTracker(), MetricsTracker()
    tracker.log(2, mine=3.0)
    tracker.log(1, yours=4.0)
    other.load_state_dict(tracker.state_dict())
    assert repr(other.columns()) == repr(tracker.columns())
    empty = MetricsTracker()
    empty.load_state_dict(MetricsTracker().state_dict())
    assert empty.records() == []
