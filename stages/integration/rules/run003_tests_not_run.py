"""RUN003: declared tests were not run: none was collected, all were skipped, or pytest could not load them."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN003",
    name="tests-not-run",
    severity=Severity.HIGH,
    summary="Declared tests were not run: none was collected, all were skipped, or pytest could not load them.",
    why=("A test that did not run proves nothing, and a suite that is empty looks as green as one that passes."),
    mode="runtime",
)
