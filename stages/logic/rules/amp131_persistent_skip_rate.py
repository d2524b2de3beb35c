"""AMP131: the scaler goes on skipping steps long after the start of the run."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP131",
    name="persistent-skip-rate",
    severity=Severity.HIGH,
    summary="The scaler goes on skipping steps long after the start of the run.",
    why=(
        "A few skips at the start are how the scaler finds its scale. More than one in a hundred later means that "
        "batches are thrown away, often the same ones in every epoch."
    ),
    mode="runtime",
    unseen="How often a step is skipped is decided by the numbers of a run.",
)
