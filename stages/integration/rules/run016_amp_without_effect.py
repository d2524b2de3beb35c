"""RUN016: switching AMP on changes nothing: every loss is bit for bit that of FP32."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN016",
    name="amp-without-effect",
    severity=Severity.MEDIUM,
    summary="Switching AMP on changes nothing: every loss is bit for bit that of FP32.",
    why=(
        "Low precision always leaves a trace in the last digits. Where there is none, no operation ran in "
        "low precision, and neither speed nor memory is gained."
    ),
    mode="runtime",
)
