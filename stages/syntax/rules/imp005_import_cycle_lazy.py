"""IMP005: an import cycle that is broken by an import inside a function, or by one for type checking only."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP005",
    name="import-cycle-lazy",
    severity=Severity.INFO,
    summary="Modules depend on each other, but at least one import of the cycle does not run while loading.",
    why="Loading is safe. The modules still cannot be understood, tested or moved one without the other.",
    examples=(
        Bad("""
            # --- trainer.py
            from benchmark import measure
            def train(): ...
            # --- benchmark.py
            def measure():
                from trainer import train  # expect: IMP005
                return train()
        """),
        Bad("""
            # --- trainer.py
            from benchmark import measure
            class Trainer: ...
            # --- benchmark.py
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from trainer import Trainer  # expect: IMP005
            def measure(trainer: "Trainer"): ...
        """),
        Good("""
            # --- trainer.py
            def train():
                from benchmark import measure
                return measure()
            # --- benchmark.py
            def measure(): ...
        """),
    ),
)
