"""AMP206: a thread is started inside an autocast context, which does not hold in the thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import ThreadComputed
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _computed(event: ThreadComputed, run: Run) -> Findings:
    message = (
        f"A thread that was started inside of {event.region.dtype} autocast runs {event.operator} in {event.dtype}: "
        "autocast holds for the thread that entered it alone."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP206",
    remedy="Enter autocast inside the function that the thread runs.",
    hears={ThreadComputed: _computed},
)
