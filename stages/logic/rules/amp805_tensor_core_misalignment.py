"""AMP805: matrix sizes are no multiples of eight, so tensor cores are not fully used."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP805",
    name="tensor-core-misalignment",
    severity=Severity.LOW,
    summary="Matrix sizes are no multiples of eight, so tensor cores are not fully used.",
    why=(
        "Vocabulary and channel counts that are no multiples of eight are padded or sent to slower kernels. "
        "Shapes are known at run time only."
    ),
    mode="runtime",
    unseen=(
        "Sizes of products are known in a run; by literal sizes alone every classifier of ten classes would be named."
    ),
)
