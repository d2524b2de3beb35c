"""AMP127: the scaler steps an optimizer none of whose parameters has a gradient."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP127",
    name="no-grads-for-optimizer",
    severity=Severity.MEDIUM,
    summary="The scaler steps an optimizer none of whose parameters has a gradient.",
    why=(
        '`scaler.step` raises "No inf checks were recorded for this optimizer" where frozen or unused networks '
        "got no gradient in a turn; a plain optimizer would have done nothing."
    ),
    mode="runtime",
)
