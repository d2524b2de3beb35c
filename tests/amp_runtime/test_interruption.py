"""Real signals to real processes."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from amp_runtime.checkpoint import read_info
from amp_runtime.interruption import interruptible
from amp_runtime.loop import fit
from amp_runtime.retention import latest_checkpoint
from tests.amp_runtime import warm
from tests.amp_runtime.problems import batches, fp16, make_step

SCRIPT = Path(__file__).with_name("interrupted.py")


def start(folder, where):
    return warm.start(SCRIPT, folder, where)


def wait_for(path, process):
    for _ in range(2000):
        if path.exists():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("training never began")


def result_of(folder, process):
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return json.loads((folder / "result.json").read_text()), stderr


@pytest.mark.parametrize("where", ["training", "workers"])
def test_ctrl_c_ends_training_cleanly_with_a_checkpoint(where, tmp_path):
    process = start(tmp_path, where)
    wait_for(tmp_path / "under-way", process)
    os.killpg(process.pid, signal.SIGINT)  # its children too, as Ctrl-C on a terminal does
    result, stderr = result_of(tmp_path, process)
    assert "Ctrl-C: training ends after this step; press it again to abort" in stderr
    assert "Traceback" not in stderr
    assert result["interrupted"]
    assert result["ended"].startswith("interrupted by Ctrl-C after step")
    assert result["handler_restored"]
    path = latest_checkpoint(tmp_path / "kept")
    assert read_info(path).step == result["steps"] < 2000
    # The checkpoint is that of this run, whole, and `fit` would go on from it.
    history = fit(
        make_step(fp16()), batches(2000), epochs=2, max_steps=result["steps"] + 2, resume=path, progress=False
    )
    assert [record.number for record in history.steps] == [result["steps"] + 1, result["steps"] + 2]


def test_ctrl_c_ends_a_long_validation_which_the_resumed_run_makes_up_for(tmp_path):
    process = start(tmp_path, "validating")
    wait_for(tmp_path / "under-way", process)
    process.send_signal(signal.SIGINT)
    result, _ = result_of(tmp_path, process)
    assert result["interrupted"]
    assert (result["steps"], result["validations"], result["epochs"]) == (2, [], [])
    result, _ = result_of(tmp_path, start(tmp_path, "resumed"))
    assert not result["interrupted"]
    assert (result["steps"], result["validations"], result["epochs"]) == (4, [2, 4], [1, 2])


def test_ctrl_c_between_two_epochs_is_kept_too(tmp_path):
    result, _ = result_of(tmp_path, start(tmp_path, "between"))
    assert result["interrupted"]
    assert result["steps"] == 2
    step = make_step(fp16())
    history = fit(step, batches(2), epochs=2, resume=latest_checkpoint(tmp_path / "kept"), progress=False)
    assert [record.number for record in history.steps] == [3, 4]


def test_a_second_ctrl_c_aborts_at_once(tmp_path):
    process = start(tmp_path, "stuck")
    wait_for(tmp_path / "under-way", process)
    time.sleep(0.5)  # it hangs in its validation for an hour
    process.send_signal(signal.SIGINT)
    assert "press it again" in process.stderr.readline() + process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    assert not (tmp_path / "result.json").exists()


def test_a_handler_that_the_program_has_set_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("mine"))
    try:
        with interruptible(lambda: heard.append("ours")):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == ["mine"]


def test_training_in_another_thread_does_without():
    errors, histories = [], []

    def train():
        try:
            histories.append(fit(make_step(), batches(2), epochs=1, progress=False))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert errors == []
    assert histories[0].ended == "all epochs were trained"


def test_the_handler_comes_back_after_an_exception():
    def fail():
        with interruptible(lambda: None):
            raise ZeroDivisionError

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert signal.getsignal(signal.SIGINT) is before
