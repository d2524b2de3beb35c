"""AMP107: a loss that is scaled already is scaled once more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..events import BackwardStarting
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _starting(event: BackwardStarting, run: Run) -> Findings:
    ways = event.provenance.ways
    if not any(ways):
        return None
    twice = next((way for way in sorted(ways) if len(way) > 1), None)
    if twice is None:
        return NOTHING
    scales = [run.scale_of(scaler) for scaler in twice]
    known = [scale for scale in scales if scale is not None]
    values = {"scale": math.prod(known)} if len(known) == len(scales) else {}
    product = f", {' times '.join(f'{scale:g}' for scale in known)}," if values else ""
    message = f"The loss is scaled {len(twice)} times{product} and its gradients are divided by one scale only."
    return [Found(message=message, values=values, place=event.provenance.twice)]


CHECK = Check(
    code="AMP107",
    remedy="Scale the loss once, where its backward begins.",
    hears={BackwardStarting: _starting},
)
