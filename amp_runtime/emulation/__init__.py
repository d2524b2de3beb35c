"""CUDA's autocast on a machine without CUDA: its tables, and a device on which unmodified training code meets them.

`python -m amp_runtime.emulation` prints the tables of the installed PyTorch; docs/emulation.md says how it works. Every
name below loads its module, and with it torch, when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bounds import limits
    from .classifying import policy
    from .installing import emulate
    from .state import is_emulating

__all__ = ["emulate", "is_emulating", "limits", "policy"]

_HOME_OF = {"emulate": "installing", "is_emulating": "state", "limits": "bounds", "policy": "classifying"}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
