"""AMP219: a matrix product writes into a given tensor under autocast, which casts no such calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import clashing, first_line, source
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_INTO = re.compile(r"\.(?:addmm|addmv|addbmm|baddbmm|addr)_\(|\bout\s*=")


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if not clashing(event) or not event.regions or not event.regions[-1].enabled or not _INTO.search(source(event)):
        return None
    message = f"A product that writes into a given tensor is not cast by autocast: {first_line(event.error)}."
    return [Found(message=message)]


CHECK = Check(
    code="AMP219",
    remedy="Use the form that returns a new tensor, such as torch.addmm.",
    hears={ProgramRaised: _raised},
)
