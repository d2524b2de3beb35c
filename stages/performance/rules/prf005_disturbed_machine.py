"""PRF005: the machine was busy, throttled or changed its speed while steps were timed."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF005",
    name="disturbed-machine",
    severity=Severity.INFO,
    summary="The machine was busy, throttled or changed its speed while steps were timed.",
    why=(
        "Pairs in random order keep the ratio of two programs right on a busy machine. Absolute times, and figures "
        "made of them, are those of the disturbed machine."
    ),
    mode="runtime",
)
