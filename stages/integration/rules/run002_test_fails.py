"""RUN002: a declared test fails."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN002",
    name="test-fails",
    severity=Severity.HIGH,
    summary="A declared test fails.",
    why=(
        "The task declares these tests as the proof that it works. A failing test is a promise that the "
        "code no longer keeps."
    ),
    mode="runtime",
)
