"""AMP310: distances are expanded as a^2 + b^2 - 2ab with a half product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run

_SAME = 0.1  # float32 rounds below zero too, by far less


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    return [
        found(
            one,
            f"{named(one.site)} gets {one.values['low']:.3g} in {one.notes['dtype']}, whose root is NaN; in float32 "
            f"the smallest is {one.values['fp32_low']:.3g}.",
        )
        for one in facts(record, "negative-root")
        if one.values.get("fp32_low", one.values["low"]) > _SAME * one.values["low"]
    ] or NOTHING


CHECK = Check(
    code="AMP310",
    remedy="Use torch.cdist, or convert to float32 before the product.",
    hears={DeepStepSeen: _seen},
)
