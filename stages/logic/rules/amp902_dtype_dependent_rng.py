"""AMP902: random numbers drawn in low precision differ from those drawn in float32 from the same seed."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP902",
    name="dtype-dependent-rng",
    severity=Severity.MEDIUM,
    summary="Random numbers drawn in low precision differ from those drawn in float32 from the same seed.",
    why=(
        "`torch.rand` consumes its generator differently for each dtype: two arms of a comparison see "
        "different noise, and their difference is not the precision's."
    ),
    mode="runtime",
    unseen=(
        "It is about how a comparison draws its numbers, not about a program; our own comparison of FP32 "
        "and AMP starts both from one seed and takes its tolerance from runs with rounding noise."
    ),
)
