"""AMP603: a gate that runs the compiled model cannot see that eager training would use stale weights."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP603",
    name="eager-only-cache-bug-hidden",
    severity=Severity.MEDIUM,
    summary="A gate that runs the compiled model cannot see that eager training would use stale weights.",
    why=(
        "Compiled code casts weights in the graph and never asks autocast's cache, so a context around several"
        " optimizer steps works while it is compiled and silently stops learning once it is not. Sanitizer runs are"
        " therefore made in eager mode."
    ),
    mode="runtime",
    unseen=("It is about a run itself: which of its steps were compiled, and so could not show stale weights."),
)
