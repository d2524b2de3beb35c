"""SYN001: CPython refuses the file."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SYN001",
    name="syntax-error",
    severity=Severity.CRITICAL,
    summary="CPython refuses to compile the file.",
    why=(
        "Python compiles a whole file before it runs any of it, so one error anywhere makes every import of the file"
        " fail. Text that is not in the declared encoding, null bytes and nesting too deep for the compiler count too,"
        " and so does what stands in place of a file that is not checked out (a Git LFS pointer) or cannot be read."
        " CPython names its first error only; the further ones are listed where ruff reads them the same way. Syntax of"
        " a newer Python is an error here where the project also admits a Python that refuses it."
    ),
    examples=(
        Bad("""
            def scale(loss:  # expect: SYN001
                return loss
        """),
        Bad("""
            for step in range(3):
                pass
            return step  # expect: SYN001
        """),
        Bad("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            version = "1.0"
            requires-python = ">=3.9"

            # --- trainer.py
            def load(read):
                try:
                    return read()
                except OSError, ValueError:  # expect: SYN001
                    return None
        """),
        Good("""
            def scale(loss):
                return loss
        """),
    ),
    essential=True,  # no other rule has seen anything of such a file
)
