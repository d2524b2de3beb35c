"""AMP903: the AMP arm of a comparison is compared at another number of effective steps."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP903",
    name="skip-misalignment",
    severity=Severity.MEDIUM,
    summary="The AMP arm of a comparison is compared at another number of effective steps.",
    why=(
        "Every step that the scaler skips leaves the AMP arm one update behind; compared by iteration it "
        "looks worse than it is."
    ),
    mode="runtime",
    unseen=(
        "It is about how a comparison counts its steps, not about a program; our own undoes in the FP32 "
        "runs the steps that AMP skips."
    ),
)
