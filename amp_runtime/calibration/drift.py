"""Whether the machine stayed the same: one kernel, timed again and again between the measurements."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.calibration.formats import FORMATS, filled

if TYPE_CHECKING:
    from collections.abc import Callable

    from amp_runtime.calibration.timing import Timer

DRIFT_LIMIT = 0.10
_SIDE = 256
_SAMPLES = 5
_SAMPLE_S = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the reference kernel's time changed.

    Args:
        seconds: its median at each check, in order.
        limit: from which share on it is flagged.
    """

    seconds: tuple[float, ...]
    limit: float = DRIFT_LIMIT

    @property
    def trend(self) -> float:
        """By what share the last check was slower than the first; negative where it was faster (a cold start)."""
        return self.seconds[-1] / self.seconds[0] - 1 if self.seconds else 0.0

    @property
    def spread(self) -> float:
        """By what share the slowest check was slower than the fastest."""
        return max(self.seconds) / min(self.seconds) - 1 if self.seconds else 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what went beyond the limit; none if nothing did."""
        found = []
        if abs(self.trend) > self.limit:
            way = "slower" if self.trend > 0 else "faster"
            found.append(
                f"the reference kernel was {abs(self.trend):.0%} {way} at the end than at the beginning (limit "
                f"{self.limit:.0%}): clock or temperature changed, so early and late figures do not compare"
            )
        if self.spread > self.limit:
            found.append(
                f"the reference kernel's time varied by {self.spread:.0%} between the operations (limit "
                f"{self.limit:.0%}): other programs or the clock disturbed some of the figures"
            )
        return tuple(found)


class ReferenceKernel:
    """A float32 product of 256x256 matrices, or any other call, timed at every `check`."""

    def __init__(self, timer: Timer, call: Callable[[], object]) -> None:
        self._timer, self._call = timer, call
        self._seconds: list[float] = []
        self._calls = 1

    @classmethod
    def on(cls, device: torch.device, timer: Timer) -> ReferenceKernel:
        """Make one whose matrices lie on the device."""
        left, right = (filled((_SIDE, _SIDE), FORMATS["fp32"], device, seed) for seed in (0, 1))
        into = torch.empty_like(left)
        return cls(timer, lambda: torch.mm(left, right, out=into))

    def check(self) -> None:
        """Time it: the median of five samples of about 4 ms, after untimed calls for as long as one sample."""
        if not self._seconds:
            self._timer(self._call, 3)
            self._calls = max(1, round(_SAMPLE_S / max(self._timer(self._call, 3) / 3, 1e-7)))
        self._timer(self._call, self._calls)
        samples = [self._timer(self._call, self._calls) / self._calls for _ in range(_SAMPLES)]
        self._seconds.append(statistics.median(samples))

    def drift(self) -> Drift:
        """Return what the checks so far say."""
        return Drift(seconds=tuple(self._seconds))
