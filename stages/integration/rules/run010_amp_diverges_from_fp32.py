"""RUN010: under AMP the workload trains differently than in FP32 from the same seed."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="RUN010",
    name="amp-diverges-from-fp32",
    severity=Severity.HIGH,
    summary="Under AMP the workload trains differently than in FP32 from the same seed.",
    why=(
        "Rounding explains a small difference only. A larger one means that AMP is applied wrongly: "
        "gradients clipped while they carry the loss scale, steps skipped, an operation that needs FP32 "
        "run in low precision."
    ),
    mode="runtime",
)
