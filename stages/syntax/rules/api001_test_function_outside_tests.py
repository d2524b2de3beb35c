"""API001: a function outside the test modules has a name that pytest takes for a test."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="API001",
    name="test-function-outside-tests",
    severity=Severity.INFO,
    summary="A module-level function outside the test modules is named `test_...`.",
    why=(
        "pytest collects every function of such a name that it finds in a test module, also one that was imported"
        " there. A training function called test_fine_tuning() then runs as a test whenever a test module imports it,"
        " with its parameters taken for fixtures."
    ),
    examples=(
        Bad("""
            # --- training/loop.py
            def test_epoch(model, batches):  # expect: API001
                return [model(batch) for batch in batches]
            # --- tests/test_loop.py
            from training.loop import test_epoch
        """),
        Good("""
            # --- training/loop.py
            def evaluate_epoch(model, batches):
                return [model(batch) for batch in batches]
            # --- tests/test_loop.py
            def test_nothing():
                assert True
        """),
    ),
)
