"""IMP002: an import names a module of no file of the project, not installed and not declared."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP002",
    name="unresolved-external-import",
    severity=Severity.HIGH,
    summary="A module is imported that is neither installed here nor declared as a dependency.",
    why=(
        "Whoever installs what the project declares gets ModuleNotFoundError. LOW where the project declares no "
        "dependencies at all; INFO where it is declared but not installed here, or the import is guarded."
    ),
    examples=(
        Bad("""
            # --- train.py
            import no_such_distribution.trainer  # expect: IMP002
        """),
        Bad("""
            # --- train.py
            try:
                import no_such_distribution  # expect: IMP002
            except ImportError:
                no_such_distribution = None
        """),
        Good("""
            # --- train.py
            import sys
            if sys.platform == "no-such-platform":
                import no_such_distribution
        """),
    ),
)
