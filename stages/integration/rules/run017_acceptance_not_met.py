"""RUN017: an acceptance line asks for something of AMP that the training runs do not do."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN017",
    name="acceptance-not-met",
    severity=Severity.HIGH,
    summary="An acceptance line asks for something of AMP that the training runs do not do.",
    why=(
        "The harness listens to every torch module and every GradScaler while a workload trains. What the task "
        "promises about autocast, loss scaling, its log, accuracy or devices was not what it heard."
    ),
    mode="runtime",
)
