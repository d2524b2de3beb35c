"""AMP904: losses agree while the updates do not."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP904",
    name="loss-only-equivalence",
    severity=Severity.HIGH,
    summary="Losses agree while the updates do not.",
    why=(
        "Adam divides the loss scale out of its updates: four scaler bugs reach the same loss as the correct "
        "program. The direction and size of the updates tell them apart."
    ),
    mode="runtime",
    unseen=(
        "It is about what a comparison compares, not about a program; our own compares the gradients that "
        "reach the parameters, and not losses alone."
    ),
)
