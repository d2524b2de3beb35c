"""RUN012: importing a module of the task loads another file than the one under verification."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN012",
    name="import-shadowed",
    severity=Severity.HIGH,
    summary="Importing a module of the task loads another file than the one under verification.",
    why=("Tests and training would run code that is not in this change, so their result says nothing about it."),
    mode="runtime",
)
