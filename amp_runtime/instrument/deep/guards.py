"""Keeps our own arithmetic out of the program's sight: no mode of it, no autograd and no autocast sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Run torch below autograd and autocast, past every dispatch mode and function mode."""
    with (
        torch._C.DisableTorchFunction(),
        torch._C._DisableTorchDispatch(),
        torch._C._AutoDispatchBelowAutograd(),
    ):
        yield
