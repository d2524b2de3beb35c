"""RUN004: an import, a test or a training step did not end within its time limit."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN004",
    name="timeout",
    severity=Severity.CRITICAL,
    summary="An import, a test or a training step did not end within its time limit.",
    why=(
        "What hangs here hangs in production too: a deadlock, an endless loop, or a wait for something "
        "that never comes. Nothing after it was checked."
    ),
    mode="runtime",
)
