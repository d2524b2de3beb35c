"""Which rules of other stages are looked for while code runs: those for which the sanitizer has a check."""

from __future__ import annotations

import pkgutil
from pathlib import Path

from amp_runtime import wire

CHECKS = Path(wire.__file__).parent / "instrument" / "rules"


def heard() -> tuple[str, ...]:
    """Return the codes in order. Names are enough: the modules import torch, which this process must not."""
    return tuple(sorted(module.name.partition("_")[0].upper() for module in pkgutil.iter_modules([str(CHECKS)])))
