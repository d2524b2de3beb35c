"""AMP211: the autocast class is used as a decorator or context without being called."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

from ..precision_events import AutocastMade
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

FUNCTIONS = (types.FunctionType, types.MethodType)


def _made(event: AutocastMade, run: Run) -> Findings:
    if not event.args or not isinstance(event.args[0], FUNCTIONS):
        return NOTHING
    what = "refuses it" if event.context is None else "takes it for its first argument"
    message = f"{event.kind} gets the function {event.args[0].__name__} and {what}: the class decorates, not a call."
    return [Found(message=message)]


CHECK = Check(
    code="AMP211",
    remedy='Call it: `@torch.autocast("cuda", dtype=...)`.',
    hears={AutocastMade: _made},
)
