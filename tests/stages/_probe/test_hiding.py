"""The verifier is closed to others of its user exactly while it runs code."""

from __future__ import annotations

import ctypes

from stages._probe.hiding import hidden

_PR_GET_DUMPABLE = 3


def is_open() -> bool:
    return ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1


def test_it_is_open_again_when_the_last_run_is_over() -> None:
    assert is_open()
    with hidden():
        assert not is_open()
        with hidden():
            assert not is_open()
        assert not is_open()
    assert is_open()
