"""SYN002: CPython compiles the file, and warns."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SYN002",
    name="syntax-warning",
    severity=Severity.LOW,
    summary="CPython gives a warning while it compiles the file.",
    why=(
        "The compiler warns where code is legal and almost surely not what was meant: identity with a literal, an"
        " assert on a tuple that is always true, a call of a literal. Escape sequences that a later Python will refuse"
        " are INFO."
    ),
    examples=(
        Bad("""
            def is_half(dtype):
                return dtype is "float16"  # expect: SYN002
        """),
        Bad("""
            def check(loss):
                assert (loss > 0, "negative loss")  # expect: SYN002
        """),
        Good("""
            def is_half(dtype):
                return dtype == "float16"
        """),
    ),
)
