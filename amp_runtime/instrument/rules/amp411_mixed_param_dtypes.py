"""AMP411: trained parameters of one optimizer have different floating-point dtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..casts import CAUSES, HALF, histogram, name_of, parameters_of
from ..events import OptimizerStepping, ScalerRefused
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    return _look(event.optimizer, run) if run.close else None


def _refused(event: ScalerRefused, run: Run) -> Findings:
    return None if event.optimizer is None else _look(event.optimizer, run)


def _look(optimizer: Any, run: Run) -> Findings:
    """Compare weights of two or more dimensions: norms and biases are kept in float32 beside bfloat16 on purpose."""
    weights = [one for one in parameters_of(optimizer) if one.dim() > 1]
    types = histogram(weights)
    half = {name for name in types if name in map(name_of, HALF)}
    if not weights:
        return None
    if not half or len(types) == 1 or run.alarmed(CAUSES):
        return NOTHING
    said = " and ".join(f"{count} {name}" for name, count in types.items())
    message = f"{type(optimizer).__name__} steps weights of different types: {said}."
    values = {name: float(count) for name, count in types.items()}
    return [Found(message=message, values=values, place=run.casts.place_of(weights))]


CHECK = Check(
    code="AMP411",
    remedy="Keep every trained parameter in float32, or give each type an optimizer of its own on purpose.",
    hears={OptimizerStepping: _stepping, ScalerRefused: _refused},
)
