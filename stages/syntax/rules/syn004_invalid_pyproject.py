"""SYN004: a pyproject.toml parses, and says something that installers refuse."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SYN004",
    name="invalid-pyproject",
    severity=Severity.MEDIUM,
    summary="A pyproject.toml contradicts the standards for [build-system], [project] or [dependency-groups].",
    why=(
        "Installers and build tools read these tables by the letter of PEP 517, 621, 639 and 735: a misspelt key or a"
        " requirement that is none stops the installation or is silently left out. The tables of other tools are not"
        " judged."
    ),
    examples=(
        Bad("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            version = "1.0"
            dependancies = ["torch>=2.4"]  # expect: SYN004
        """),
        Bad("""
            # --- pyproject.toml
            [project]
            name = "trainer"
            version = "1.0"
            dependencies = ["torch >== 2.4"]  # expect: SYN004
        """),
        Good("""
            # --- pyproject.toml
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"

            [project]
            name = "trainer"
            version = "1.0"
            license = "Apache-2.0"
            dependencies = ["torch>=2.4"]

            [tool.anything]
            goes = true
        """),
    ),
)
