"""Computes the loss in float32."""

from __future__ import annotations

from stages.logic.widening import widen_first_argument
from verifier.api import Fix

FIX = Fix(
    rule="AMP214",
    safety="unsafe",
    summary=r"Casts what the criterion gets: \`criterion(logits.float(), target)\`. Unsafe, as the loss changes.",
    repair=widen_first_argument,
    declines="the criterion gets nothing by position",
)
