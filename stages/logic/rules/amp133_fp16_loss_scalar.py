"""AMP133: the loss that is scaled is a float16 scalar."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP133",
    name="fp16-loss-scalar",
    severity=Severity.MEDIUM,
    summary="The loss that is scaled is a float16 scalar.",
    why=(
        "The gradient that backward starts from is cast back to float16, so a scale above 32768 overflows at "
        "once, and every growth of the scale costs a skipped step."
    ),
    mode="runtime",
)
