"""AMP120: a scaler's state is saved with AMP on and loaded with AMP off, or the other way round."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP120",
    name="scaler-state-flag-mismatch",
    severity=Severity.LOW,
    summary="A scaler's state is saved with AMP on and loaded with AMP off, or the other way round.",
    why=(
        "A disabled scaler saves an empty state, which an enabled one refuses to load; the other way round the "
        "state is ignored without a word. What is loaded also overrides the arguments that the scaler was made "
        "with."
    ),
    mode="runtime",
)
