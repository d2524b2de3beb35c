"""Decides which tasks belong to which shard: in turn, by their place in the list that every shard makes for itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from verifier.errors import UsageError

_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several parts of a run; `number` counts from 1 to `of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def takes(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which of the tasks are this shard's. Those of all shards together are each task once."""
        return tuple(names[self.number - 1 :: self.of])


def read_shard(text: str) -> Shard:
    """Return what `--shard i/n` names.

    Raises:
        UsageError: it is not of that form, or there is no such shard.
    """
    read = _FORM.fullmatch(text)
    if read is None or not 1 <= int(read[1]) <= int(read[2]):
        raise UsageError(f"--shard {text}: give the number of the shard and how many there are, from 1/4 to 4/4 say")
    return Shard(number=int(read[1]), of=int(read[2]))


def shard_of(task: str, names: Sequence[str], of: int) -> Shard:
    """Return the shard that takes a task of the list."""
    return Shard(number=names.index(task) % of + 1, of=of)
