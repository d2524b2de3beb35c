"""AMP803: every training step waits for the device."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP803",
    name="per-step-host-sync",
    severity=Severity.MEDIUM,
    summary="Every training step waits for the device.",
    why=(
        "`.item()`, `get_scale()` and tests of a tensor's value stop the host until the device is done. Once in a "
        "step is a pipeline that is never full; every hundredth step costs nothing."
    ),
    mode="runtime",
)
