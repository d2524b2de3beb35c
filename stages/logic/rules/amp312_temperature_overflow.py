"""AMP312: logits are divided by a small temperature until their exponential is infinite."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP312",
    name="temperature-overflow",
    severity=Severity.MEDIUM,
    summary="Logits are divided by a small temperature until their exponential is infinite.",
    why=(
        "exp passes what float16 holds at 11, and float32 at 88: similarities over a temperature of 0.001 reach"
        " 1000. Whether they do depends on the values, so only a run shows it. The remedy is float32 logits and a"
        " softmax, which subtracts the largest first."
    ),
    mode="runtime",
)
