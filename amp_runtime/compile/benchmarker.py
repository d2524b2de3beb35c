"""How long a step takes eager and compiled, timed in turn."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ..benchmark.intervals import ratio
from ..benchmark.pairing import Pairing, time_in_pairs
from ..compilation import backward_outside_autocast
from .results import ComparisonResult
from .running import stepping

if TYPE_CHECKING:
    from collections.abc import Callable

    from .running import Conditions
    from .trees import Sample

_STRETCH_S = 0.005  # shorter ones would be of the clock's and the scheduler's own length
_MOST_STEPS = 500


class PerformanceBenchmarker:
    """Times an eager and a compiled model against each other, in blocks whose order is random."""

    def __init__(self, pairing: Pairing | None = None) -> None:
        self.pairing = pairing or Pairing()

    def compare_models(
        self,
        eager: torch.nn.Module,
        compiled: Callable[..., Any],
        sample: Sample,
        conditions: Conditions,
        *,
        compile_time_s: float = 0.0,
    ) -> ComparisonResult:
        """Time calls of both, in a train or eval pass with their backward, on the same sample.

        Modes, buffers and random generators are the caller's to restore (`state.preserved`).

        Args:
            compile_time_s: what compiling has taken before; what the first call takes here is added.
        """
        settle = _settle(conditions.device)
        with backward_outside_autocast():
            first = stepping(eager, eager, sample, conditions)
            second = stepping(compiled, eager, sample, conditions)
            compiling_s = _seconds(second, settle)
            step_s = min(_seconds(second, settle), _seconds(first, settle))
            steps = min(_MOST_STEPS, max(self.pairing.steps, math.ceil(_STRETCH_S / max(step_s, 1e-9))))
            blocks = time_in_pairs(first, second, replace(self.pairing, steps=steps), settle)
        eager_s, compiled_s = tuple(one.first_s for one in blocks), tuple(one.second_s for one in blocks)
        return ComparisonResult(
            precision=conditions.precision,
            eager_s=eager_s,
            compiled_s=compiled_s,
            speedup=ratio(eager_s, compiled_s),
            compile_time_s=compile_time_s + max(0.0, compiling_s - min(compiled_s)),
        )


def _seconds(call: Callable[[], object], settle: Callable[[], object]) -> float:
    settle()
    begin = time.perf_counter()
    call()
    settle()
    return time.perf_counter() - begin


def _settle(device: torch.device) -> Callable[[], object]:
    synchronize = getattr(getattr(torch, device.type, None), "synchronize", None)
    return synchronize if callable(synchronize) else lambda: None
