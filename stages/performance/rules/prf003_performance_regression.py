"""PRF003: a training step got slower or larger than in the saved runs of this machine class."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF003",
    name="performance-regression",
    severity=Severity.HIGH,
    summary="A training step got slower or larger than in the saved runs of this machine class.",
    why=(
        "It is significant beside how much runs of one program differ, and large enough to matter. Small losses are "
        "each too small to be noticed; together, over months, they are what a faster machine was bought for."
    ),
    mode="runtime",
)
