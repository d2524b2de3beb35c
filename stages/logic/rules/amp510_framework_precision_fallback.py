"""AMP510: the framework runs in another precision than was asked for."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP510",
    name="framework-precision-fallback",
    severity=Severity.LOW,
    summary="The framework runs in another precision than was asked for.",
    why=(
        "Lightning's 16-mixed on a CPU becomes bfloat16 with a warning, although torch supports float16 "
        "autocast there: the run measures another precision than its configuration says."
    ),
    mode="runtime",
)
