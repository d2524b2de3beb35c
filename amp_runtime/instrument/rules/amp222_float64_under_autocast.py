"""AMP222: a float64 tensor goes into a layer under autocast, which does not cast float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import clashing, first_line
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _raised(event: ProgramRaised, run: Run) -> Findings:
    if "float64" not in clashing(event) or not event.regions or not event.regions[-1].enabled:
        return None
    message = (
        f"A float64 tensor meets weights that autocast has cast, and is not cast itself: {first_line(event.error)}."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP222",
    remedy="Convert the data with `.float()`; NumPy's default type is float64.",
    hears={ProgramRaised: _raised},
)
