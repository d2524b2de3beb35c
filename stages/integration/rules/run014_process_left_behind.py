"""RUN014: a process that the code started was still running after it had ended."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN014",
    name="process-left-behind",
    severity=Severity.HIGH,
    summary="A process that the code started was still running after it had ended.",
    why=("Left-over processes hold GPUs, ports and files. On a shared machine they pile up with every run."),
    mode="runtime",
)
