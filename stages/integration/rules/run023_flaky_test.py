"""RUN023: a declared test failed, and passed when it was run again."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN023",
    name="flaky-test",
    severity=Severity.HIGH,
    summary="A declared test failed, and passed when it was run again.",
    why=(
        "The test is the task's proof, and it does not always hold: the code or the test depends on chance, on time or "
        "on the order of tests. It does not count as passed."
    ),
    mode="runtime",
)
