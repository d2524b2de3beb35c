"""AMP203: autocast is turned on by its global switch instead of a context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import AutocastToggled
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


def _toggled(event: AutocastToggled, run: Run) -> Findings:
    if not event.enabled or event.nesting or event.via:
        return NOTHING
    message = (
        f"Autocast for {event.device} is turned on outside of every context: its cache of half weights is never "
        "cleared, and it stays on for whatever this thread runs next."
    )
    return [Found(message=message)]


CHECK = Check(
    code="AMP203",
    remedy="Use `with torch.autocast(...):` around each forward.",
    hears={AutocastToggled: _toggled},
)
