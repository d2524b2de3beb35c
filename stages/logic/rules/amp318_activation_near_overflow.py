"""AMP318: a module's output comes close to the largest float16 number."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP318",
    name="activation-near-overflow",
    severity=Severity.MEDIUM,
    summary="A module's output comes close to the largest float16 number.",
    why=(
        "float16 ends at 65504. An output beyond half of that overflows on the next larger batch, and the "
        "infinity turns into NaN in the first normalisation or softmax behind it. Only a run shows how large "
        "activations get."
    ),
    mode="runtime",
    unseen="How large activations get is decided by the numbers of a run.",
)
