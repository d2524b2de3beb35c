"""RUN005: the code under verification ended its own process before the check was complete."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN005",
    name="early-exit",
    severity=Severity.CRITICAL,
    summary="The code under verification ended its own process before the check was complete.",
    why=(
        "An exit code of 0 looks like success although nothing behind it ran. Only evidence that came in "
        "whole counts; what is missing is a failure."
    ),
    mode="runtime",
)
