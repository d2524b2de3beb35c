"""AMP129: the loss scale falls below 1 and goes on falling."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP129",
    name="scale-collapse",
    severity=Severity.CRITICAL,
    summary="The loss scale falls below 1 and goes on falling.",
    why=(
        "Something makes gradients that are not finite in every step, whatever the scale. Below 2**-128 the "
        "inverse of the scale is infinite, and the first healthy step writes infinities into every parameter."
    ),
    mode="runtime",
    unseen="How a scale moves is decided by the numbers of a run.",
)
