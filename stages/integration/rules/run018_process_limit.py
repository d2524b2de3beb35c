"""RUN018: the code started more processes than it may have at once."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN018",
    name="process-limit",
    severity=Severity.HIGH,
    summary="The code started more processes than it may have at once.",
    why=("Processes without bound stop a whole machine, for everybody who works on it, and not only this run."),
    mode="runtime",
)
