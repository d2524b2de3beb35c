"""AMP314: log probabilities or ratios of policies are computed from half logits."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP314",
    name="lowp-distribution",
    severity=Severity.MEDIUM,
    summary="Log probabilities or ratios of policies are computed from half logits.",
    why=(
        "Half precision rounds a log probability of -10 by a hundredth, and the ratio of two policies by as much:"
        " importance weights drift from 1 although nothing changed. The remedy is to widen the logits before"
        " log_softmax or a distribution gets them."
    ),
    mode="runtime",
)
