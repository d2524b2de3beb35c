"""AMP901: CPU autocast casts other operations than CUDA autocast, so a CPU run does not show what CUDA will do."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP901",
    name="cpu-cuda-policy-gap",
    severity=Severity.HIGH,
    summary="CPU autocast casts other operations than CUDA autocast, so a CPU run does not show what CUDA will do.",
    why=(
        "Of the operations that torch 2.13 lists for autocast only 39 are on both lists. The sanitizer can "
        "run a CPU program under CUDA's list."
    ),
    mode="runtime",
    unseen=(
        "It is about a machine without CUDA: a run under CUDA's autocast, emulated, shows what the text leaves open."
    ),
)
