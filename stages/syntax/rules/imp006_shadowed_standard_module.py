"""IMP006: a top-level module of the project has the name of a standard module and really replaces it."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP006",
    name="shadowed-standard-module",
    severity=Severity.LOW,
    summary="A top-level module of the project replaces a module of the standard library.",
    why=(
        "The project's folder precedes the standard library on the import path, so every library that imports the "
        "module gets the project's file. Modules built into the interpreter cannot be replaced and are not reported."
    ),
    examples=(
        Bad("""
            # --- profile.py
            def profile_step(): ...  # expect: IMP006
        """),
        Good("""
            # --- training/__init__.py
            # --- training/profile.py
            def profile_step(): ...
            # --- sys.py
            argv = []
        """),
    ),
)
