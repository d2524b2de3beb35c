"""Which rules of other stages are looked for while code runs: those for which the sanitizer has a check."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec

EMULATED = "AMP901"  # what CUDA's autocast refuses, which only a run as on CUDA shows


def heard() -> tuple[str, ...]:
    """Return the codes in order. Names are enough: the modules import torch, which this process must not."""
    checks = find_spec("amp_runtime.instrument.rules")
    if checks is None:
        raise ImportError("amp_runtime is not installed as a whole: it has no checks of the sanitizer")
    folders = checks.submodule_search_locations
    return tuple(sorted(module.name.partition("_")[0].upper() for module in pkgutil.iter_modules(folders)))
