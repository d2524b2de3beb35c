"""AMP132: a float16 tensor with dimensions is scaled."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP132",
    name="scale-nonscalar-fp16",
    severity=Severity.HIGH,
    summary="A float16 tensor with dimensions is scaled.",
    why=(
        "A tensor with dimensions keeps its dtype, so times 65536 every element is infinite and every step is "
        "skipped. A scalar is promoted to float32 and is not."
    ),
    mode="runtime",
)
