"""AMP319: a large share of the gradients computed in low precision is zero or subnormal."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP319",
    name="gradient-underflow",
    severity=Severity.HIGH,
    summary="A large share of the gradients computed in low precision is zero or subnormal.",
    why=(
        "Below 6e-8 a float16 gradient is zero and its weight does not learn; nothing raises. A loss scale "
        "moves gradients up; whether it moves them far enough is a question of their values, which only a run "
        "shows."
    ),
    mode="runtime",
    unseen="How small gradients get is decided by the numbers of a run.",
)
