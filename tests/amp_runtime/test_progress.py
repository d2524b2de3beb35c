import io
import logging
import os
import pty
from pathlib import Path

import pytest
from rich.console import Console

from amp_runtime.loop import fit
from amp_runtime.progress import Bar, Lines, _Speed, progress_callbacks
from amp_runtime.step import NonFiniteError
from tests.amp_runtime import warm
from tests.amp_runtime.problems import OVERFLOW, batches, fp16, make_step

ROOT = Path(__file__).parents[2]


def choose(wanted, **settings):
    console = Console(file=io.StringIO(), **settings)
    return [type(shown) for shown in progress_callbacks(wanted, last_epoch=1, max_steps=None, console=console)]


def test_a_bar_on_a_terminal_and_lines_elsewhere():
    assert choose(None, force_terminal=True) == [Bar]
    assert choose(True, force_terminal=True) == [Bar]
    assert choose(None, force_terminal=False) == [Lines]
    assert choose(False, force_terminal=True) == []


def test_a_terminal_that_cannot_move_its_cursor_gets_lines():
    assert choose(None, force_terminal=True, _environ={"TERM": "dumb"}) == [Lines]


def test_lines_that_are_logged_already_are_not_printed_again(caplog):
    with caplog.at_level(logging.INFO, logger="amp_runtime"):
        assert choose(None, force_terminal=False) == []
        assert choose(True, force_terminal=False) == [Lines]


def test_lines_go_to_stderr_only(capsys):
    fit(make_step(fp16()), batches(2), epochs=2, validation=batches(1))
    out, err = capsys.readouterr()
    assert out == ""
    first, second, last = err.splitlines()
    assert first.startswith("epoch 1: 2 steps, 0 skipped; train loss ")
    assert "ms per step; loss scale 1024" in second
    assert last == "training ended: all epochs were trained"


def test_the_switch_turns_it_off(capsys):
    fit(make_step(), batches(2), epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_skipped_steps_and_the_end_by_an_exception_are_told(capsys):
    data = [*batches(2), *batches(1, factor=OVERFLOW)]
    fit(make_step(fp16()), data, epochs=1, progress=True)
    assert "training ended: all epochs were trained; 1 steps skipped by the loss scaler" in capsys.readouterr().err
    with pytest.raises(NonFiniteError):
        fit(make_step(), batches(1, factor=float("nan")), epochs=1)
    assert "training ended: NonFiniteError: step 1" in capsys.readouterr().err


def bar_of(data, **settings):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, color_system=None)
    bar = Bar(console, last_epoch=settings.get("epochs"), max_steps=settings.get("max_steps"))
    fit(make_step(fp16()), data, callbacks=[bar], progress=False, **settings)
    return screen.getvalue()


def test_the_bar_shows_epoch_step_loss_scale_and_speed():
    text = bar_of(batches(3), epochs=2, accumulation=2)
    assert "epoch 1/2" in text
    assert "3/3" in text
    assert "step 1, loss " in text
    assert "scale 1024" in text
    assert "epoch 3" not in text
    assert "epoch 2: 2 steps, 0 skipped" in text
    assert text.rstrip().endswith("training ended: all epochs were trained")


def test_the_bar_of_data_without_a_length_shows_what_was_seen():
    text = bar_of(iter(batches(3)), max_steps=3)
    assert "epoch 1 " in text
    assert "step 1/3" in text


CODE = """
from tests.amp_runtime.problems import batches, make_step
from amp_runtime.loop import fit
fit(make_step(), batches(3), epochs=1)
print("done")
"""


def test_the_speed_is_smoothed_over_moments():
    speed = _Speed()
    for second in range(5):
        speed.add(100, float(second))
    assert speed.per_s == 100
    speed.add(300, 5.0)
    assert speed.per_s == 200


def test_on_a_real_terminal_there_is_a_bar_and_the_cursor_comes_back():
    ours, theirs = pty.openpty()
    code, said, _ = warm.run("-c", CODE, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "140"})
    os.close(theirs)
    seen = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert (code, said) == (0, "done\n")
    assert "epoch 1/1" in seen
    assert "training ended: all epochs were trained" in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1
