"""RUN024: a run that was saved and resumed trains differently than one that went straight on."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN024",
    name="resume-differs",
    severity=Severity.HIGH,
    summary="A run that was saved and resumed trains differently than one that went straight on.",
    why=(
        "What a checkpoint leaves out is lost silently: without the loss scaler's state the first steps after a "
        "resume are skipped, without the optimizer's its moments start from nothing, without the place in the data "
        "the model sees some of it twice and some never."
    ),
    mode="runtime",
)
