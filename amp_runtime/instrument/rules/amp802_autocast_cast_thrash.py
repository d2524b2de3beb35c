"""AMP802: a recurrence enters autocast anew in every turn, and so casts the same weights in every turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import place_of, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run


_OFTEN = 8  # casts of one weight for each backward: a critic that is called three times, recomputed, is no recurrence


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    passes = max(len(record.losses), 1)
    often = {name: count for name, count in record.weight_recasts.items() if count > _OFTEN * passes}
    if not record.casts:
        return None
    if not often:
        return NOTHING
    name, count = max(often.items(), key=lambda item: item[1])
    place = next((place_of(one.site) for one in record.casts if one.what == name), None)
    message = f"{name} and {len(often) - 1} other weights are cast to half up to {count} times in one step."
    values = {"casts": float(count), "weights": float(len(often)), "backwards": float(passes)}
    return [Found(message=message, values=values, place=place)]


CHECK = Check(
    code="AMP802",
    remedy="Enter autocast around the whole recurrence, with its cache on.",
    hears={DeepStepSeen: _seen},
)
