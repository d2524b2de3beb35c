"""AMP413: loading with `assign=True` makes a model half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..events import StateLoaded
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _loaded(event: StateLoaded, run: Run) -> Findings:
    if not isinstance(event.target, torch.nn.Module):
        return None
    pairs = list(zip(event.before, event.after, strict=False))
    changed = [new for old, new in pairs if old == "float32" and new in ("float16", "bfloat16")]
    if not changed or not event.target.training:
        return NOTHING  # a model that only evaluates may be half
    message = (
        f"Loading turns {len(changed)} of {len(pairs)} parameters of {type(event.target).__name__} from float32 to "
        f"{changed[0]}: `assign` takes the tensors of the checkpoint as they are."
    )
    return [Found(message=message, values={"changed": float(len(changed)), "parameters": float(len(pairs))})]


CHECK = Check(
    code="AMP413",
    remedy="Load without assign, or cast the checkpoint to float32 first.",
    hears={StateLoaded: _loaded},
)
