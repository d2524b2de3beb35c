"""RUN008: a training step returned a loss that is NaN or infinite."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN008",
    name="nonfinite-loss",
    severity=Severity.CRITICAL,
    summary="A training step returned a loss that is NaN or infinite.",
    why=(
        "Once the loss is not finite, so are the gradients, and after one optimizer step all weights. "
        "Training goes on without an error and learns nothing."
    ),
    mode="runtime",
)
