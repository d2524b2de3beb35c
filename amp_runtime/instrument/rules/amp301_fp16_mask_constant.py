"""AMP301: a float16 tensor is masked with a number that float16 cannot hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen, ProgramRaised
from ..raising import first_line, says
from ..run import NOTHING, Check, Found

if TYPE_CHECKING:
    from ..run import Findings, Run

_REFUSED = re.compile(r"value cannot be converted to type (?:c10|at)::Half without overflow")


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    rows = sum(one.values["rows"] for one in facts(record, "masked-row"))
    then = f" {rows:g} rows without a finite score then come out as NaN." if rows else ""
    return [
        found(
            one,
            f"{named(one.site)} gets the constant {one.values['scalar']:g}, which is infinite in float16.{then}",
            {**one.values, **({"rows": rows} if rows else {})},
        )
        for one in facts(record, "scalar-overflows")
        if one.notes["dtype"] == "float16"
    ] or NOTHING


def _raised(event: ProgramRaised, run: Run) -> Findings:
    """Hear masked_fill, clamp and pad, which refuse such a constant."""
    if not says(event, _REFUSED):
        return None
    return [Found(message=f"A constant goes into a float16 tensor that cannot hold it: {first_line(event.error)}.")]


CHECK = Check(
    code="AMP301",
    remedy="Use torch.finfo(scores.dtype).min.",
    hears={DeepStepSeen: _seen, ProgramRaised: _raised},
)
