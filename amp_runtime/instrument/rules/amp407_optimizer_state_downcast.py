"""AMP407: loading optimizer state casts its float32 moments to the dtype of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ..casts import HALF, name_of
from ..events import StateLoaded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _loaded(event: StateLoaded, run: Run) -> Findings:
    if not isinstance(event.target, torch.optim.Optimizer):
        return None
    given = _moments(event.state.get("state", {}) if isinstance(event.state, Mapping) else {})
    kept = _moments(event.target.state)
    if len(given) != len(kept):
        return None
    lost = [(old, new) for old, new in zip(given, kept, strict=True) if old is torch.float32 and new in HALF]
    if not lost:
        return NOTHING
    old, new = lost[0]
    message = (
        f"{type(event.target).__name__} loads {len(lost)} of {len(given)} moments that were {name_of(old)} and keeps "
        f"them as {name_of(new)}, the type of its parameters."
    )
    return [Found(message=message, values={"cast": float(len(lost)), "moments": float(len(given))})]


def _moments(states: Mapping[Any, Any]) -> list[torch.dtype]:
    """Return the dtypes of tensors with dimensions, in order; step counters have none."""
    return [
        value.dtype
        for state in states.values()
        if isinstance(state, Mapping)
        for _name, value in sorted(state.items())
        if isinstance(value, torch.Tensor) and value.dim() and value.is_floating_point()
    ]


CHECK = Check(
    code="AMP407",
    remedy="Keep float32 parameters for the optimizer, or cast its state back to float32 after loading.",
    hears={StateLoaded: _loaded},
)
