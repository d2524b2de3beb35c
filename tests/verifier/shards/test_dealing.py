"""Dealing tasks out: every task once, whatever the number of shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.errors import UsageError
from verifier.shards.dealing import Shard, read_shard, shard_of


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(1, 12))
def test_all_shards_together_are_every_task_once(names: list[str], of: int) -> None:
    shards = [Shard(number=number, of=of) for number in range(1, of + 1)]
    dealt = [name for shard in shards for name in shard.takes(names)]
    assert sorted(dealt) == sorted(names)
    assert all(shard_of(name, names, of) == shard for shard in shards for name in shard.takes(names))
    sizes = [len(shard.takes(names)) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "a/b", "1/4 ", "-1/4", "1/4/4", "1.0/4", "²/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="from 1/4 to 4/4"):
        read_shard(text)


def test_what_is_one() -> None:
    assert read_shard("3/12") == Shard(number=3, of=12)
