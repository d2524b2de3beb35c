"""IMP001: an import of the project's own code names a module, or a name in a module, that does not exist."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP001",
    name="unresolved-project-import",
    severity=Severity.CRITICAL,
    summary="A module of the project, or a name in one, is imported but does not exist.",
    why=(
        "Python raises ImportError when it reaches the statement. MEDIUM where only tests import it, LOW where the "
        "failure is caught, the import serves type checking only, or sys.path is changed by the program itself."
    ),
    examples=(
        Bad("""
            # --- training/__init__.py
            # --- training/loop.py
            def train(): ...
            # --- train.py
            from training.loop import train, evaluate  # expect: IMP001
            from training.metrics import accuracy  # expect: IMP001
        """),
        Bad("""
            # --- training/__init__.py
            # --- tests/test_training.py
            import training.metrics  # expect: IMP001
        """),
        Bad("""
            # --- training/__init__.py
            def __getattr__(name):
                raise AttributeError(name)
            # --- train.py
            from training.metrics import accuracy  # expect: IMP001
            from training import anything
        """),
        Good("""
            # --- training/__init__.py
            from .loop import *
            # --- training/loop.py
            __all__ = ["train"]
            def train(): ...
            # --- train.py
            import training.loop
            from training import loop, train
        """),
        Good("""
            # --- registry.py
            def __getattr__(name):
                return name.upper()
            # --- train.py
            from registry import anything
        """),
    ),
)
