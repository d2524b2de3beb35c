"""A figure that says which of two moments of a run is the better one, and by how much it must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.history import EpochRecord, ValidationRecord
    from amp_runtime.metrics import Metrics

_FIGURES = ("loss", "perplexity", "accuracy")
MONITORED = tuple(f"{part}_{figure}" for part in ("validation", "train") for figure in _FIGURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Watches one figure.

    Args:
        name: one of `MONITORED`, such as `"validation_loss"`.
        mode: `"min"` or `"max"` is better; empty for max with accuracy and min otherwise.
        min_delta: an improvement must be larger than this, in the unit of the figure.

    Raises:
        ValueError: an unknown figure or mode, or a negative or non-finite `min_delta`.
    """

    name: str = "validation_loss"
    mode: str = ""
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in MONITORED:
            raise ValueError(f"{self.name!r} is not a figure of a run; use one of {', '.join(MONITORED)}")
        if self.mode not in ("", "min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', not {self.mode!r}")
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise ValueError(f"min_delta must be a finite number of at least 0, not {self.min_delta!r}")

    @property
    def is_validation(self) -> bool:
        return self.name.startswith("validation_")

    @property
    def higher_is_better(self) -> bool:
        return (self.mode or ("max" if self.name.endswith("accuracy") else "min")) == "max"

    def improves(self, value: float, best: float | None) -> bool:
        """Whether `value` beats `best` by more than `min_delta`. NaN never does, and anything else beats nothing."""
        if math.isnan(value):
            return False
        if best is None:
            return True
        return value > best + self.min_delta if self.higher_is_better else value < best - self.min_delta

    def of_validation(self, record: ValidationRecord) -> float:
        """Return the figure of a validation. Raises ValueError for an accuracy that the objective does not count."""
        return self._figure(record.metrics)

    def of_epoch(self, record: EpochRecord) -> float:
        """Return the figure of an epoch's training; NaN where every step was skipped."""
        return math.nan if record.train is None else self._figure(record.train)

    def _figure(self, metrics: Metrics) -> float:
        figure: float | None = getattr(metrics, self.name.partition("_")[2])
        if figure is None:
            raise ValueError(f"{self.name} is watched, but the objective does not count right predictions")
        return figure
