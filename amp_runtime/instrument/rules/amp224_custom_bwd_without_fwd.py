"""AMP224: `custom_bwd` decorates a backward whose forward has no `custom_fwd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..functions import line_of
from ..precision_events import ProgramRaised
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _raised(event: ProgramRaised, run: Run) -> Findings:
    error = event.error
    if not isinstance(error, AttributeError) or error.name not in ("_fwd_used_autocast", "_dtype"):
        return None
    function = getattr(error.obj, "_forward_cls", None)
    if function is None:
        return None
    message = f"The backward of {function.__name__} asks what custom_fwd noted, which does not decorate its forward."
    return [Found(message=message, place=line_of(function, "forward", "def "))]


CHECK = Check(
    code="AMP224",
    remedy="Decorate forward with torch.amp.custom_fwd, for the same device type.",
    hears={ProgramRaised: _raised},
)
