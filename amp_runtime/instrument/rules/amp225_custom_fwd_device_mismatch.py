"""AMP225: `custom_fwd` or `custom_bwd` is for another device than the one autocast is on for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..events import BackwardStarting
from ..functions import decorated_for, decorated_functions, line_of
from ..graph import read
from ..run import Check, Found

if TYPE_CHECKING:
    from ..graph import FunctionSeen
    from ..run import Findings, Run

_SIDES = {"forward": "custom_fwd", "backward": "custom_bwd"}


def _starting(event: BackwardStarting, run: Run) -> Findings:
    if not run.close or not run.entered or not (decorated := _decorated(run)):
        return None
    seen = read(event.roots).functions
    known = [seen[function] for function in decorated if function in seen]
    return [found for one in known for found in _compare(one, run)] if known else None


def _decorated(run: Run) -> list[Any]:
    """Search the classes anew only when there are more of them."""
    memory, count = run.memory("AMP225"), len(torch.autograd.Function.__subclasses__())
    if memory.get("count") != count:
        memory["count"], memory["decorated"] = count, decorated_functions()
    found: list[Any] = memory["decorated"]
    return found


def _compare(seen: FunctionSeen, run: Run) -> list[Found]:
    if not run.entered_for(seen.device):
        return []
    found = []
    for side, decorator in _SIDES.items():
        device = decorated_for(seen.function, side)
        if device is not None and device != seen.device:
            message = (
                f"{decorator} of {seen.function.__name__} is for {device}, and runs on {seen.device}: it sees autocast "
                "as off, casts nothing and sets nothing."
            )
            found.append(Found(message=message, place=line_of(seen.function, side, decorator)))
    return found


CHECK = Check(
    code="AMP225",
    remedy="Give both decorators the device type of the tensors.",
    hears={BackwardStarting: _starting},
)
