"""Load, once for all units that train, what PyTorch loads when the first optimizer is made: seconds in each of them."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from .guard import provides

if TYPE_CHECKING:
    from collections.abc import Iterable


def _tops() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in sys.modules)


_before = _tops()
with contextlib.suppress(Exception):  # an older torch: the first optimizer loads what it needs
    import torch._dynamo  # noqa: F401
LOADED = _tops() - _before  # `profile`, `secrets`, `statistics` and others that a project may have a file of


def give_way(paths: Iterable[str]) -> None:
    """Drop what the project has files of, so that it finds its own, as it does in a process that nobody prepared."""
    own = {top for path in paths for top in LOADED if provides(path, top)}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
