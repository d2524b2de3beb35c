"""AMP221: fp32 values are added in place to a half tensor and rounded to it."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP221",
    name="inplace-downcast",
    severity=Severity.MEDIUM,
    summary="fp32 values are added in place to a half tensor and rounded to it.",
    why=(
        "`half += full` keeps the type of the left side: 1e-8 becomes 0 and 7e4 becomes inf, where `half + full`"
        " would have given fp32. Whether the left side is half is a matter of the operations before it, which only a"
        " run shows."
    ),
    mode="runtime",
)
