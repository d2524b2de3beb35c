"""RUN001: a module of the task raises when it is imported."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN001",
    name="import-fails",
    severity=Severity.CRITICAL,
    summary="A module of the task raises when it is imported.",
    why=(
        "Whatever imports this module breaks at that moment: training does not start, and nothing behind "
        "the import was ever executed. Each module is imported as the first one of the project in a fresh "
        "process, so the order in which others happen to import it cannot hide the failure."
    ),
    mode="runtime",
)
