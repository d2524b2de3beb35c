"""The command line of the whole run, from that of a shard."""

from __future__ import annotations

import pytest

from verifier.shards.stamp import without_shard


@pytest.mark.parametrize(
    ("command", "whole"),
    [
        ("verify --all --shard 1/4", "verify --all"),
        ("verify --shard=2/4 T1 -q", "verify T1 -q"),
        ("verify T1 'a b' --shard 1/2 --output 'x y'", "verify T1 'a b' --output 'x y'"),
        ("verify 'unfinished", "verify 'unfinished"),
    ],
)
def test_the_command_of_the_whole_run(command: str, whole: str) -> None:
    assert without_shard(command) == whole
