"""LNT001: ruff finds a defect, by the rules that `stages/syntax/lint/selection.py` names."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="LNT001",
    name="lint",
    severity=Severity.INFO,
    summary="ruff reports code that raises, does other than it says, has no effect, or is left-over debugging.",
    why=(
        "Lint costs no points, but five errors fail its gate. Only rules that name a defect count, not style; the"
        " project's own ruff configuration is not used, `# noqa` is. Names and imports are judged by SCP and IMP and"
        " not repeated here. An unused import is not reported where the file offers it to others or pytest finds it as"
        " a fixture; a mutable default only where the function changes it."
    ),
    examples=(
        Bad("""
            import os  # expect: LNT001

            def remember(loss, seen=[]):  # expect: LNT001
                seen.append(loss)
                return seen

            def check(dtype):
                if dtype is None:
                    ValueError("no dtype")  # expect: LNT001
        """),
        Good("""
            import os

            BETAS = os.environ.get("BETAS", "0.9,0.95")

            def parameters(model, skip=[]):
                return [item for item in model if item not in skip]

            def check(dtype):
                if dtype is None:
                    raise ValueError("no dtype")
        """),
        Good("""
            # --- pkg/__init__.py
            from pkg.compat import autocast
            # --- pkg/compat.py
            from contextlib import nullcontext as autocast
            # --- tests/test_model.py
            from tests.fixtures import model
            def test_forward(model):
                assert model() == 1
            # --- tests/fixtures.py
            import pytest
            @pytest.fixture
            def model():
                return lambda: 1
        """),
    ),
)
