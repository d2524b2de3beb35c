"""RUN011: a declared workload cannot be built, or breaks while it trains."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN011",
    name="workload-broken",
    severity=Severity.CRITICAL,
    summary="A declared workload cannot be built, or breaks while it trains.",
    why=(
        "The workload is the task's own example of a training run. If it does not run, no claim about training holds."
    ),
    mode="runtime",
)
