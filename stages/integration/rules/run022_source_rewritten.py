"""RUN022: a source file of the project was rewritten while the project ran."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN022",
    name="source-rewritten",
    severity=Severity.HIGH,
    summary="A source file of the project was rewritten while the project ran.",
    why=(
        "What was imported, tested or trained after that was not the code under review. The project's own files are "
        "untouched: the run had a copy of them."
    ),
    mode="runtime",
)
