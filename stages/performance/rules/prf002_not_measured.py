"""PRF002: a workload or script of the task could not be measured."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF002",
    name="not-measured",
    severity=Severity.HIGH,
    summary="A workload or script of the task could not be measured.",
    why=(
        "What was not measured is not known to be fast or small. A requirement that nobody could check must never "
        "look like one that was met."
    ),
    mode="runtime",
)
