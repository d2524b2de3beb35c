"""AMP411: trained parameters of one optimizer have different floating-point dtypes."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP411",
    name="mixed-param-dtypes",
    severity=Severity.HIGH,
    summary="Trained parameters of one optimizer have different floating-point dtypes.",
    why=(
        "A float16 part makes the scaler raise at the first step; a bfloat16 part is updated with eight bits "
        "of precision beside float32 neighbours, silently."
    ),
    mode="runtime",
)
