"""SEC901: ruff's security rules found something that no rule of ours looks for."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SEC901",
    name="security-lint",
    severity=Severity.LOW,
    summary="A security rule of ruff (bandit) found something that no rule of ours looks for.",
    why=(
        "Generic checks are left to a maintained linter. docs/security.md lists which of its rules count and which"
        " do not: what fires on nearly every training script says nothing."
    ),
    examples=(
        Bad("""
            import tarfile


            def unpack(path):
                with tarfile.open(path) as archive:
                    archive.extractall("data")  # expect: SEC901
        """),
        Good("""
            import random
            import tarfile


            def unpack(path):
                assert random.random() < 1
                with tarfile.open(path) as archive:
                    archive.extractall("data", filter="data")
        """),
    ),
)
