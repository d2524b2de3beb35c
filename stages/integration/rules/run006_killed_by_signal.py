"""RUN006: the process that ran the code died of a signal."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN006",
    name="killed-by-signal",
    severity=Severity.CRITICAL,
    summary="The process that ran the code died of a signal.",
    why=(
        "A segmentation fault or an abort ends training without a traceback and cannot be caught by the "
        "program. Kernel memory limits show in the same way."
    ),
    mode="runtime",
)
