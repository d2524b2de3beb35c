"""RUN009: the loss does not go down over the steps that were run."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN009",
    name="loss-not-decreasing",
    severity=Severity.HIGH,
    summary="The loss does not go down over the steps that were run.",
    why=(
        "Code that runs without error and does not learn is the commonest failure of training code: an "
        "optimizer that is never stepped, gradients that are cleared or clipped to nothing, a graph that "
        "is detached."
    ),
    mode="runtime",
)
