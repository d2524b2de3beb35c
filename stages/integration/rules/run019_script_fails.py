"""RUN019: a training script raises, or ends with an exit code that says it failed."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN019",
    name="script-fails",
    severity=Severity.CRITICAL,
    summary="A training script raises, or ends with an exit code that says it failed.",
    why=(
        "The script was started as a user starts it, from its own folder and with its own arguments. What it does "
        "here it does for everybody who runs it."
    ),
    mode="runtime",
)
