"""Decides how what is known of names at one point of a program is written down, joined and changed."""

from __future__ import annotations

from typing import NamedTuple


class State(NamedTuple):
    """One bit a name in each field. A name in none of them: no path gets here that survived its reads.

    `doubtful` is for paths that leave a name unbound but are too unlikely to be reported: a loop that runs zero times,
    an exception from a plain name, a context manager that swallows. They still end where the name is read.
    """

    unbound: int = 0
    bound: int = 0
    doubtful: int = 0

    def binding(self, bit: int) -> State:
        """Return what holds after a name is bound."""
        if not bit & (self.unbound | self.bound | self.doubtful):
            return self
        return State(self.unbound & ~bit, self.bound | bit, self.doubtful & ~bit)

    def unbinding(self, bit: int) -> State:
        """Return what holds after a name is deleted."""
        if not bit & (self.unbound | self.bound | self.doubtful):
            return self
        return State(self.unbound | bit, self.bound & ~bit, self.doubtful & ~bit)

    def surviving(self, bit: int) -> State:
        """Return what holds after a name was read: the paths on which it is unbound end there."""
        return State(self.unbound & ~bit, self.bound, self.doubtful & ~bit)

    def fresh(self, bits: int) -> State:
        """Return what holds where names begin, unbound."""
        return State(self.unbound | bits, self.bound & ~bits, self.doubtful & ~bits)

    def doubted(self, bits: int = -1) -> State:
        """Return the same with names that may be unbound only doubtfully so."""
        return State(self.unbound & ~bits, self.bound, self.doubtful | (self.unbound & bits))


def join(first: State | None, second: State | None) -> State | None:
    """Return what holds where two paths meet. None: nothing comes that way."""
    if first is None:
        return second
    if second is None:
        return first
    return State(first[0] | second[0], first[1] | second[1], first[2] | second[2])
