"""RUN013: the code printed more than the verifier is willing to take."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN013",
    name="output-flood",
    severity=Severity.HIGH,
    summary="The code printed more than the verifier is willing to take.",
    why=(
        "Output without bound fills the disk of a CI machine and buries every message that matters; it is "
        "usually an endless loop with a print in it."
    ),
    mode="runtime",
)
