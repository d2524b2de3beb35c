"""Keeps our own arithmetic out of the program's sight: no mode of it, no autograd and no autocast sees it."""

from __future__ import annotations

from typing import Any

import torch


class Unseen:
    """Runs torch below autograd and autocast, past every dispatch mode and function mode. One for each use."""

    __slots__ = ("_guards",)

    def __enter__(self) -> None:
        self._guards: tuple[Any, ...] = (
            torch._C.DisableTorchFunction(),
            torch._C._DisableTorchDispatch(),
            torch._C._AutoDispatchBelowAutograd(),
        )
        for guard in self._guards:
            guard.__enter__()

    def __exit__(self, *_: object) -> None:
        for guard in reversed(self._guards):
            guard.__exit__(None, None, None)
