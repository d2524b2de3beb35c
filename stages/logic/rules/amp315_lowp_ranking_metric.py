"""AMP315: a metric ranks half values, among which many are equal."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP315",
    name="lowp-ranking-metric",
    severity=Severity.LOW,
    summary="A metric ranks half values, among which many are equal.",
    why=(
        "Measured on 1000 random classes, the largest of the values changes in 1.2 % of the rows in bfloat16 and"
        " in 0.3 % in float16. Compare metrics with a tolerance, or widen the logits first."
    ),
    mode="runtime",
    unseen=(
        "The largest of half logits is asked for in nearly every evaluation under autocast. Of 1000 random "
        "numbers it is another one in 0.3 % of cases in float16 and in 1.2 % in bfloat16; trained logits "
        "lie farther apart, and neither the text nor a run says where one such case matters."
    ),
)
