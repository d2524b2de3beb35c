"""AMP409: a step that the scaler skipped left a buffer that is not finite."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP409",
    name="buffer-poisoned-by-overflow",
    severity=Severity.CRITICAL,
    summary="A step that the scaler skipped left a buffer that is not finite.",
    why=(
        "The scaler protects parameters, not buffers: one overflowing batch leaves infinities in BatchNorm's "
        "running statistics, an EMA or a codebook. Training goes on, evaluation is NaN from then on."
    ),
    mode="runtime",
    unseen=(
        "Every network with batch normalization under float16 would be named; only a run shows whether an "
        "overflow reached a buffer."
    ),
)
