import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.accumulation import shares, windows


@given(st.lists(st.integers()), st.integers(1, 7))
def test_windows_lose_and_reorder_nothing(batches, size):
    groups = list(windows(batches, size))
    assert [batch for group in groups for batch in group] == batches
    assert all(len(group) == size for group in groups[:-1])
    assert all(groups)


def test_the_last_window_may_be_shorter():
    assert list(windows("abcde", 2)) == [("a", "b"), ("c", "d"), ("e",)]


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one micro-batch"):
        list(windows([1], 0))


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=64))
def test_shares_are_proportional_and_sum_to_one(sizes):
    parts = shares(sizes)
    assert sum(parts) == pytest.approx(1)
    assert parts[0] * sum(sizes) == pytest.approx(sizes[0])


def test_a_micro_batch_alone_is_the_whole_step():
    assert shares([7.0]) == (1.0,)


@pytest.mark.parametrize("sizes", [[], [0.0, 0.0], [1.0, -1.0], [float("nan")]])
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(ValueError, match="micro-batch sizes"):
        shares(sizes)
