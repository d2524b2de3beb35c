"""RUN020: a training script ended without a training step that could be watched."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN020",
    name="no-training-step",
    severity=Severity.CRITICAL,
    summary="A training script ended without a training step that could be watched.",
    why=(
        "A run in which no optimizer was stepped has shown nothing about training: there was no step in which a hazard "
        "of mixed precision could have been seen."
    ),
    mode="runtime",
)
