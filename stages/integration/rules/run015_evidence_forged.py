"""RUN015: something other than the verifier's harness wrote into its result channel."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN015",
    name="evidence-forged",
    severity=Severity.CRITICAL,
    summary="Something other than the verifier's harness wrote into its result channel.",
    why=("Results that the code under verification can write itself prove nothing, so none of this process counts."),
    mode="runtime",
)
