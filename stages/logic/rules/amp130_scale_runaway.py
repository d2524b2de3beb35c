"""AMP130: the loss scale grows without end."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP130",
    name="scale-runaway",
    severity=Severity.MEDIUM,
    summary="The loss scale grows without end.",
    why=(
        "Nothing overflows because nothing runs in float16, so the scale doubles every 2000 steps up to 2**127. "
        "From there on steps are skipped at random."
    ),
    mode="runtime",
    unseen=(
        "How a scale moves is decided by the numbers of a run; AMP135 and AMP137 find what causes it in source text."
    ),
)
