"""AMP304: the logarithm of a probability that half precision rounds to 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measured import facts, found, named, record_of
from ..precision_events import DeepStepSeen
from ..run import NOTHING, Check

if TYPE_CHECKING:
    from ..run import Findings, Run


_LOGARITHMS = ("aten.log", "aten.log_", "aten.log2", "aten.log10")


def _seen(event: DeepStepSeen, run: Run) -> Findings:
    record = record_of(event, run)
    if record is None:
        return None
    guards = facts(record, "scalar-vanishes", "scalar-becomes-one")
    return [
        found(one, f"{named(one.site)} is -inf: half precision rounded its operand to 0; in float32 it is finite.", {})
        for one in record.births
        if one.site.operator in _LOGARITHMS and one.site.phase == "forward" and one.fp32_finite and not guards
    ] or NOTHING  # with a guard that vanished it is AMP302 or AMP303


CHECK = Check(
    code="AMP304",
    remedy="Use log_softmax, logsigmoid or logsumexp.",
    hears={DeepStepSeen: _seen},
)
