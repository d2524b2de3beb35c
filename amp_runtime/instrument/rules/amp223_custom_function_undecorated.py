"""AMP223: an autograd function multiplies matrices in both directions and says nothing about autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..functions import decorated_for, line_of
from ..precision_events import ProgramRaised
from ..raising import clashing, first_line, function_of
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if not event.in_backward or not clashing(event) or not run.entered:
        return None
    function = function_of(event)
    if function is None or decorated_for(function, "forward") is not None:
        return None
    message = (
        f"The backward of {function.__name__} meets gradients in half and tensors that its forward saved before "
        f"autocast cast them: {first_line(event.error)}."
    )
    return [Found(message=message, place=line_of(function, "forward", "def "))]


CHECK = Check(
    code="AMP223",
    remedy="Decorate forward with torch.amp.custom_fwd and backward with torch.amp.custom_bwd.",
    hears={ProgramRaised: _raised},
)
