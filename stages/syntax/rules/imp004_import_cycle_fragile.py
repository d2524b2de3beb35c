"""IMP004: modules import each other while loading, and work only because of the order of their statements."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP004",
    name="import-cycle-fragile",
    severity=Severity.MEDIUM,
    summary="Modules import each other while loading; it works from every entry, by the order of statements.",
    why=(
        "Nothing is taken from a half-initialised module before it is bound, today. Sorting the imports, or moving a "
        "definition below one, makes some module impossible to import first."
    ),
    examples=(
        Bad("""
            # --- engine/__init__.py
            VERSION = "1"
            from engine.loop import Loop
            # --- engine/loop.py
            from engine import VERSION  # expect: IMP004
            class Loop:
                version = VERSION
        """),
        Good("""
            # --- engine/__init__.py
            from engine.loop import Loop
            # --- engine/loop.py
            from engine.version import VERSION
            class Loop:
                version = VERSION
            # --- engine/version.py
            VERSION = "1"
        """),
    ),
)
