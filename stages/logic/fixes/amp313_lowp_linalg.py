"""Factorises in float32."""

from __future__ import annotations

from stages.logic.widening import widen_first_argument
from verifier.api import Fix

FIX = Fix(
    rule="AMP313",
    safety="unsafe",
    summary=r"Casts the argument: \`torch.linalg.cholesky(x.float())\`. Unsafe, as the result is float32 too.",
    repair=widen_first_argument,
    declines="the function is called as a method",
)
