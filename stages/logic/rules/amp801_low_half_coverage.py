"""AMP801: most matrix products and convolutions run in float32 although autocast is on."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP801",
    name="low-half-coverage",
    severity=Severity.MEDIUM,
    summary="Most matrix products and convolutions run in float32 although autocast is on.",
    why=(
        "A float32 buffer or mask that is added to a half tensor promotes everything behind it. The step is "
        "correct and slow; the share of work done in half shows it."
    ),
    mode="runtime",
    unseen="What every operation runs in, and how much of the arithmetic that is, only a run shows.",
)
