"""AMP405: the model that is trained is cast to half and back between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..events import OptimizerStepping
from ..precision_events import OptimizerMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _made(event: OptimizerMade, run: Run) -> Findings:
    """Forget casts from before there was an optimizer: the weights it starts with are what they are."""
    groups = event.optimizer.param_groups
    run.casts.settle(parameter for group in groups for parameter in group["params"])
    return None


def _stepping(event: OptimizerStepping, run: Run) -> Findings:
    if not run.casts:
        return None
    places: dict[tuple[str, int], int] = {}
    parameters = [one for group in event.optimizer.param_groups for one in group["params"]]
    for parameter in parameters:
        cast = run.casts.of(parameter)
        if cast is not None and cast.rounded is not None and parameter.dtype is torch.float32:
            places[cast.rounded] = places.get(cast.rounded, 0) + 1
            cast.rounded = None
    return [
        Found(
            message=f"{count} of {len(parameters)} trained parameters went from float32 to half and back since the "
            "optimizer was made: their weights are rounded.",
            values={"rounded": float(count)},
            place=place,
        )
        for place, count in places.items()
    ] or NOTHING


CHECK = Check(
    code="AMP405",
    remedy="Cast a copy: `copy.deepcopy(model).half()`, or the tensors of its `state_dict()`.",
    hears={OptimizerMade: _made, OptimizerStepping: _stepping},
)
