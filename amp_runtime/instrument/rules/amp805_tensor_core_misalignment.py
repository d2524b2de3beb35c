"""AMP805: matrix sizes are no multiples of eight, so tensor cores are not fully used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..deep.records import Fact
    from ..run import Findings, Run


_LARGE = 512  # of a weight; the other side is the number of samples, which changes


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(one, f"{named(one.site)} multiplies {_size(one)}, and a large side is no multiple of 8.")
        for one in facts(record, "misaligned-matmul")
        if any(one.values[side] >= _LARGE and one.values[side] % 8 for side in ("k", "n"))
    ] or NOTHING


def _size(one: Fact) -> str:
    return f"{one.values['m']:g}x{one.values['k']:g} by {one.values['k']:g}x{one.values['n']:g}"


CHECK = Check(
    code="AMP805",
    remedy="Pad it, such as a vocabulary of 50257 to 50304.",
    hears={DeepStepSeen: _seen},
)
