"""Normalises in float32."""

from __future__ import annotations

from stages.logic.widening import widen_first_argument
from verifier.api import Fix

FIX = Fix(
    rule="AMP311",
    safety="unsafe",
    summary=r"Casts what is normalised: \`F.normalize(x.float())\`. Unsafe, as the result is float32 too.",
    repair=widen_first_argument,
    declines="the tensor is not passed by position",
)
