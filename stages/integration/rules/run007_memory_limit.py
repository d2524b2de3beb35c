"""RUN007: the processes of the task used more memory than allowed."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN007",
    name="memory-limit",
    severity=Severity.CRITICAL,
    summary="The processes of the task used more memory than allowed.",
    why=(
        "Memory that grows without bound ends in the kernel's out-of-memory killer, on the machine of "
        "whoever runs this next."
    ),
    mode="runtime",
)
