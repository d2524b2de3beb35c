"""AMP412: the default dtype is half while the program trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..casts import HALF, name_of
from ..events import BackwardStarting
from ..precision_events import DefaultDtypeSet
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _set(event: DefaultDtypeSet, run: Run) -> Findings:
    run.memory("AMP412")["place"] = event.place
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    dtype = torch.get_default_dtype()
    if dtype not in HALF:
        return NOTHING
    message = f"The default dtype is {name_of(dtype)} while this training runs: what names no type is half."
    return [Found(message=message, place=run.memory("AMP412").get("place"))]


CHECK = Check(
    code="AMP412",
    remedy="Leave the default at float32 and use autocast.",
    hears={DefaultDtypeSet: _set, BackwardStarting: _starting},
)
