"""Which files a rule about module soundness wants to read, by their text alone: most files it never has parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a text must have for a rule to read it.

    Args:
        torch: the word torch; asked once a file for all rules that want it.
        every: all of these words, the rarest first.
        some: one of these, where there are any.
        never: none of these.
        pattern: and this.
        test: and what this says of the text; asked last.
    """

    torch: bool = True
    every: tuple[bytes, ...] = ()
    some: tuple[bytes, ...] = ()
    never: tuple[bytes, ...] = ()
    pattern: re.Pattern[bytes] | None = None
    test: Callable[[bytes], bool] | None = None

    def within(self, data: bytes) -> bool:
        """Say whether a text is worth reading; whether it speaks of torch, the caller knows."""
        return (
            all(word in data for word in self.every)
            and (not self.some or any(word in data for word in self.some))
            and not any(word in data for word in self.never)
            and (self.pattern is None or self.pattern.search(data) is not None)
            and (self.test is None or self.test(data))
        )


def lines_of(data: bytes, word: bytes) -> Iterator[bytes]:
    """Yield each line up to and with a word, as often as it stands there."""
    for at in places_of(data, word):
        yield data[data.rfind(b"\n", 0, at) + 1 : at + len(word)]


def places_of(data: bytes, word: bytes) -> Iterator[int]:
    """Yield where a word begins, as often as it stands there."""
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + len(word))
