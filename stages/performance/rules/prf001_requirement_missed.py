"""PRF001: a requirement of the task is not met by what was measured."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF001",
    name="requirement-missed",
    severity=Severity.HIGH,
    summary="A requirement of the task is not met by what was measured.",
    why=(
        "A merged change that is slower, larger or less accurate than the task allows is paid for in every "
        "training run that follows, and nobody sees the one change that did it."
    ),
    mode="runtime",
)
