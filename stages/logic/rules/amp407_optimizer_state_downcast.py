"""AMP407: loading optimizer state casts its float32 moments to the dtype of the parameters."""

from __future__ import annotations

from verifier.api import RuleInfo, Severity

RULE = RuleInfo(
    code="AMP407",
    name="optimizer-state-downcast",
    severity=Severity.MEDIUM,
    summary="Loading optimizer state casts its float32 moments to the dtype of the parameters.",
    why=(
        "`Optimizer.load_state_dict` casts every floating-point state tensor to the dtype of its parameter: "
        "float32 moments beside bfloat16 parameters lose their precision on resume, silently."
    ),
    mode="runtime",
    unseen="The dtypes of a stored state are in a file, which only a run opens.",
)
