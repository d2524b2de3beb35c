"""SYN005: the file is written for a newer Python than the one that verifies it."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SYN005",
    name="needs-newer-python",
    severity=Severity.INFO,
    summary="The file uses syntax that the project may rely on and the running Python does not have yet.",
    why=(
        "Every Python that `requires-python` (or python_requires, or without those the oldest classifier) admits reads"
        " this syntax, so the file is right; but the Python that runs the verifier is older, and nothing in the file"
        " could be checked. The gate is deferred: run the verifier under the Python that the finding names. Where an"
        " admitted Python refuses the file, or the project says nothing, it is SYN001."
    ),
    examples=(
        Bad("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            version = "1.0"
            requires-python = ">=3.14"

            # --- trainer.py
            def load(read):
                try:
                    return read()
                except OSError, ValueError:  # expect: SYN005
                    return None
        """),
        Good("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            version = "1.0"
            requires-python = ">=3.14"

            # --- trainer.py
            def load(read):
                try:
                    return read()
                except (OSError, ValueError):
                    return None
        """),
    ),
    essential=True,  # no other rule has seen anything of such a file
)
