"""AMP502: gradients of a model that FullyShardedDataParallel has sharded are clipped by each rank for itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..events import Clipping
from ..run import NOTHING, Check, Found
from .amp501_fsdp1_plain_gradscaler import is_sharded, ranks

if TYPE_CHECKING:
    from types import FrameType

    from ..run import Findings, Run


def _clipping(event: Clipping, run: Run) -> Findings:
    if ranks() == 1:
        return None
    sharded = sum(is_sharded(one) for gradient in event.gradients if (one := gradient.parameter()) is not None)
    if not sharded:
        return None
    if _by_fsdp():
        return NOTHING
    message = f"Each of {ranks()} ranks clips its own shards of {sharded} parameters, by a norm of its own"
    values = {"ranks": float(ranks())}
    if event.norm is not None:
        values["norm"] = float(event.norm)
        message += f" ({values['norm']:.4g} on this rank)"
    return [Found(message=message + ".", values=values)]


def _by_fsdp() -> bool:
    """Whether FullyShardedDataParallel calls torch's function itself, as it does for a model that is not sharded."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith("fully_sharded_data_parallel.py"):
            return True
        frame = frame.f_back
    return False


CHECK = Check(
    code="AMP502",
    remedy="Call model.clip_grad_norm_(...) of the sharded model.",
    hears={Clipping: _clipping},
)
