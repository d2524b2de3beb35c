"""AMP501: a plain GradScaler is used with a model that FullyShardedDataParallel has sharded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import ScalerStepping
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def is_sharded(parameter: Any) -> bool:
    """Whether FullyShardedDataParallel holds a shard of a parameter for this rank; its flag is no public one."""
    return bool(getattr(parameter, "_fsdp_flattened", False))


def ranks() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _stepping(event: ScalerStepping, run: Run) -> Findings:
    if ranks() == 1:
        return None
    sharded = sum(is_sharded(one) for group in event.optimizer.param_groups for one in group["params"])
    if not sharded:
        return None
    if any(owner.__name__ == "ShardedGradScaler" for owner in type(event.scaler).__mro__):
        return NOTHING
    message = (
        f"{type(event.scaler).__name__} steps {sharded} parameters that are sharded over {ranks()} ranks: each rank "
        "looks for infinities in its own shard alone, and they come to different scales."
    )
    place = run.scalers[id(event.scaler)].made_at
    return [Found(message=message, values={"ranks": float(ranks())}, place=place if place[0] else None)]


CHECK = Check(
    code="AMP501",
    remedy="Use torch.distributed.fsdp.sharded_grad_scaler.ShardedGradScaler.",
    hears={ScalerStepping: _stepping},
)
