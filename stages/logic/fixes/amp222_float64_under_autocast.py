"""Casts what is float64 before a product."""

from __future__ import annotations

from stages.logic.widening import widen_first_argument
from verifier.api import Fix

FIX = Fix(
    rule="AMP222",
    safety="unsafe",
    summary=r"Casts the first argument: \`layer(x.float())\`. Unsafe, as it loses digits that may be wanted.",
    repair=widen_first_argument,
    declines="it is another argument that is float64",
)
