"""AMP806: the float32 baseline of a comparison runs in TF32."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP806",
    name="tf32-confounded-baseline",
    severity=Severity.MEDIUM,
    summary="The float32 baseline of a comparison runs in TF32.",
    why=(
        "With TF32 allowed, the float32 arm of a benchmark has ten bits of mantissa: a comparison of AMP with "
        "it says less than it seems to."
    ),
    mode="runtime",
    unseen=(
        "TF32 is a mistake only where a float32 run is compared with it, and in training it is none. "
        "Whoever compares pins the flags himself, so there is nothing to look for in a program."
    ),
)
