"""AMP217: an autocast context of one half type is entered inside one of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..precision_events import ProgramRaised
from ..raising import clashing, first_line
from ..run import Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_BOTH = frozenset({"float16", "bfloat16"})


def _raised(event: ProgramRaised, run: Run) -> Findings:
    """Wait for the clash: contexts of two types that share no weights do no harm."""
    enabled = [region for region in event.regions if region.enabled]
    if clashing(event) != _BOTH or {region.dtype for region in enabled} != _BOTH:
        return None
    inner, outer = enabled[-1], enabled[0]
    message = (
        f"Autocast for {inner.dtype} is entered inside of autocast for {outer.dtype} at line {outer.place[1]}, whose "
        f"cast weights it finds in the cache: {first_line(event.error)}."
    )
    return [Found(message=message, place=inner.place)]


CHECK = Check(
    code="AMP217",
    remedy="Use one dtype for all contexts that are nested.",
    hears={ProgramRaised: _raised},
)
