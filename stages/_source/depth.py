"""Decides how deep recursion may go: far in our own walks over trees, no further than usual inside CPython's parser."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_USUAL = sys.getrecursionlimit()
_DEEP = 60_000  # frames; a call in Python takes none of the C stack, and CPython refuses deeper trees than this serves


@contextmanager
def deep() -> Iterator[None]:
    """Allow recursion as deep as any tree that CPython itself can parse."""
    with _limit(max(sys.getrecursionlimit(), _DEEP)):
        yield


@contextmanager
def usual_depth() -> Iterator[None]:
    """Give CPython's parser and compiler the limit that they are safe with: they recurse on the C stack up to it.

    Raises:
        RecursionError: the caller stands deeper than that already.
    """
    with _limit(min(sys.getrecursionlimit(), _USUAL)):
        yield


@contextmanager
def _limit(frames: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
