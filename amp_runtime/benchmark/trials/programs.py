"""The program of the trials: a training step made of equal parts, so that a tenth more work is exactly that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH, _WIDTH = 32, 256


def training_step(parts: int) -> Callable[[], None]:
    """Return a step that accumulates the gradients of `parts` batches (32 x 256, float32, on the CPU) and updates."""
    model = torch.nn.Sequential(
        torch.nn.Linear(_WIDTH, 2 * _WIDTH), torch.nn.GELU(), torch.nn.Linear(2 * _WIDTH, _WIDTH)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch = torch.randn(_BATCH, _WIDTH)

    def step() -> None:
        optimizer.zero_grad()
        for _ in range(parts):
            (model(batch) - batch).square().mean().backward()
        optimizer.step()

    return step


def parts_for(seconds: float, tries: int = 60) -> int:
    """Return how many parts, a multiple of ten, take about that long here when nobody disturbs them."""
    step = training_step(10)
    best = float("inf")
    for _ in range(tries):
        begin = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - begin)
    return max(10, 10 * round(seconds / best))
