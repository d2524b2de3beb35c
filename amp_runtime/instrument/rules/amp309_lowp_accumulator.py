"""AMP309: a running total is kept in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..measured import facts, found, named, place_of, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..deep.records import Fact
    from ..run import Findings, Run


_OFTEN = 3  # lost additions at one place within one step, as in a loop over micro-batches


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    before = run.memory("AMP309")
    return [
        found(
            one,
            f"{named(one.site)} leaves a {one.notes['dtype']} total of {one.values['sum']:g} as it is: "
            f"{one.values['addend']:.3g} is less than it can add.",
        )
        for one in facts(record, "lost-additions")
        if one.site.phase == "forward" and one.values["elements"] == 1 and _stands_still(one, before)
    ] or NOTHING


def _stands_still(one: Fact, before: dict[str, Any]) -> bool:
    """Whether the same total stood there before: a loss to which a small term is added has another value each step."""
    key = str(place_of(one.site))
    last = before.get(key)
    before[key] = one.values["sum"]
    return one.count >= _OFTEN or last == one.values["sum"]


CHECK = Check(
    code="AMP309",
    remedy="Add up Python numbers, `total += loss.item()`, or keep the total in float32.",
    hears={DeepStepSeen: _seen},
)
