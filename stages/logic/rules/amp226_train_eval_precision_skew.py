"""AMP226: training runs under autocast and evaluation without, so that their metrics are not comparable."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP226",
    name="train-eval-precision-skew",
    severity=Severity.LOW,
    summary="Training runs under autocast and evaluation without, so that their metrics are not comparable.",
    why=(
        "Losses of the same weights differ between the two types, by little for most models and by much for those that"
        " are near an overflow. Evaluating in fp32 can be meant, so only a run that compares both says whether it"
        " matters."
    ),
    mode="runtime",
    unseen=(
        "Evaluating in float32 after training under autocast may be meant; the text does not tell that "
        "from an oversight."
    ),
)
