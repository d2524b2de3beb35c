"""Times one model against another."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Comparison:
    """Seconds of a forward pass of either model."""

    first_s: float
    second_s: float

    @property
    def improvement(self) -> float:
        return self.first_s / self.second_s


class Benchmarker:
    """Runs both models on the same input."""

    def __init__(self, repetitions: int = 10) -> None:
        self.repetitions = repetitions

    def compare(self, first: torch.nn.Module, second: torch.nn.Module, sample: torch.Tensor) -> Comparison:
        return Comparison(self._seconds(first, sample), self._seconds(second, sample))

    def _seconds(self, model: torch.nn.Module, sample: torch.Tensor) -> float:
        begin = time.perf_counter()
        with torch.no_grad():
            for _ in range(self.repetitions):
                model(sample)
        return (time.perf_counter() - begin) / self.repetitions
