"""PRF006: there is a stored baseline of this machine class, and it cannot be used."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="PRF006",
    name="unusable-baseline",
    severity=Severity.HIGH,
    summary="There is a stored baseline of this machine class, and it cannot be used.",
    why=(
        "A damaged file, or one of another machine, would let every regression pass unseen. A missing one is said to "
        "be missing, and the check is deferred; one that is there has to hold."
    ),
    mode="runtime",
)
