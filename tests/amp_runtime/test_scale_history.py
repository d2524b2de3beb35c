import torch
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.scale_history import ScaleChange, ScaleHistory


def told(history):
    return [(change.step, change.scale, change.cause) for change in history.changes()]


def add(history, *scales):
    for scale in scales:
        history.add(torch.tensor(scale))


def test_each_change_has_its_first_step_and_its_cause():
    history = ScaleHistory()
    add(history, 4.0, 4.0, 2.0, 2.0, 4.0)
    assert told(history) == [(1, 4.0, "start"), (3, 2.0, "overflow"), (5, 4.0, "growth")]


def test_an_empty_history_has_no_changes():
    assert ScaleHistory().changes() == ()


@given(st.lists(st.sampled_from([1.0, 2.0, 4.0]), max_size=40), st.integers(0, 40))
def test_reading_in_between_and_saving_in_between_change_nothing(scales, cut):
    whole, first, second = ScaleHistory(), ScaleHistory(), ScaleHistory()
    add(whole, *scales)
    add(first, *scales[:cut])
    second.load_state_dict(first.state_dict())
    add(second, *scales[cut:])
    assert second.changes() == whole.changes()


def test_long_runs_hold_few_unread_steps():
    history = ScaleHistory()
    add(history, *[8.0] * 1000)
    assert len(history._unread) < 256
    assert history.changes() == (ScaleChange(step=1, scale=8.0, cause="start"),)


def test_its_state_is_plain_data(tmp_path):
    history = ScaleHistory()
    add(history, 4.0, 2.0)
    torch.save(history.state_dict(), tmp_path / "state.pt")
    restored = ScaleHistory()
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.changes() == history.changes()
