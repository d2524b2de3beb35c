"""AMP415: bfloat16 training applies steps without checking that gradients are finite."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP415",
    name="bf16-no-safety-net",
    severity=Severity.MEDIUM,
    summary="bfloat16 training applies steps without checking that gradients are finite.",
    why=(
        "Without a scaler nobody skips a bad step: one infinite gradient and `clip_grad_norm_` give 0 times "
        "infinity, a NaN weight, for good."
    ),
    mode="runtime",
    unseen=(
        "Nearly every bfloat16 loop that clips would be named; only a run shows whether a gradient was ever infinite."
    ),
)
