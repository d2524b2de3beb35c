"""PRF004: the measurements do not decide whether a requirement is met."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF004",
    name="inconclusive",
    severity=Severity.LOW,
    summary="The measurements do not decide whether a requirement is met.",
    why=(
        "The interval of the figure lies on both sides of the bound. Calling that a pass or a fail would be a coin "
        "toss. Under --strict the gate fails."
    ),
    mode="runtime",
)
