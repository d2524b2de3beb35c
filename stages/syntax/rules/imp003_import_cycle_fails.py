"""IMP003: importing some project module first, in a fresh interpreter, raises because of an import cycle."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="IMP003",
    name="import-cycle-fails",
    severity=Severity.HIGH,
    summary="Importing some project module first raises because of an import cycle.",
    why=(
        "Each module of the cycle starts the next one before it has finished itself; the one that comes round again "
        "asks a half-initialised module for a name it does not have yet. Which module works as a first import "
        "depends on the order of statements, so one caller works and the next one fails."
    ),
    examples=(
        Bad("""
            # --- trainer.py
            from benchmark import measure  # expect: IMP003
            def train(): ...
            # --- benchmark.py
            from trainer import train
            def measure(): ...
        """),
        Bad("""
            # --- engine/__init__.py
            from engine.loop import Loop
            VERSION = "1"
            # --- engine/loop.py
            import engine
            class Loop:
                version = engine.VERSION  # expect: IMP003
        """),
        Good("""
            # --- trainer.py
            from benchmark import measure
            def train(): ...
            # --- benchmark.py
            def measure():
                from trainer import train
                return train()
        """),
    ),
)
