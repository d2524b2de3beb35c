import math

import psutil
import pytest

from amp_runtime.loop import fit
from amp_runtime.trackers import Tracking
from tests.amp_runtime import warm
from tests.amp_runtime.problems import batches, fp16, make_step


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_a_run_can_be_read_back_from_its_events(tmp_path):
    from amp_runtime.trackers.tensorboard_events import TensorBoardTracker

    tracking = Tracking(TensorBoardTracker(tmp_path), config={"dataset": "noise"})
    history = fit(make_step(fp16()), batches(5), epochs=2, validation=batches(1), callbacks=[tracking])
    events = read(tmp_path)
    losses = events.Scalars("train/loss")
    assert [event.step for event in losses] == list(range(1, 11))
    assert [event.value for event in losses] == pytest.approx([record.loss for record in history.steps], rel=1e-6)
    assert [event.value for event in events.Scalars("train/loss_scale")] == list(history.scales)
    assert [event.step for event in events.Scalars("validation/loss")] == [5, 10]
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"dataset": "noise"' in text
    assert '"precision": "fp16"' in text


def test_inf_and_nan_are_kept_and_nothing_stays_open(tmp_path):
    from amp_runtime.trackers.tensorboard_events import TensorBoardTracker

    tracker = TensorBoardTracker(tmp_path)
    for step, value in enumerate([1.0, math.inf, math.nan]):
        tracker.log(step, {"x": value})
    tracker.close()
    tracker.close()
    values = [event.value for event in read(tmp_path).Scalars("x")]
    assert (values[:2], math.isnan(values[2])) == ([1.0, math.inf], True)
    assert [file.path for file in psutil.Process().open_files() if str(tmp_path) in file.path] == []


def test_the_missing_package_is_named_with_its_extra():
    code = "import sys; sys.modules['tensorboard'] = None; import amp_runtime.trackers.tensorboard_events"
    _, _, said = warm.run("-c", code)
    assert "ImportError: TensorBoardTracker needs tensorboard: pip install 'verify-amp[tensorboard]'" in said
