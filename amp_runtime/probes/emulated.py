"""Turn the emulation of a CUDA device on in this process, before any project code is imported."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..wire import Emulated
from .failure import safe_text

if TYPE_CHECKING:
    from .child import Reporter


def emulate_cuda(reporter: Reporter) -> bool:
    """Emulate, and report what that cannot show. False: it cannot be done here, which is reported too."""
    reporter.phase("emulating a CUDA device")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a real one would be in the way
    if sys.modules.get("torch") is None:
        reporter.item(Emulated(limits=(), problem="torch is not installed"))
        return False
    from ..emulation.bounds import limits  # noqa: PLC0415 - these need torch
    from ..emulation.installing import emulate  # noqa: PLC0415

    try:
        emulate("cuda")
    except (RuntimeError, ValueError) as error:  # also an installed torch that cannot carry it
        reporter.item(Emulated(limits=(), problem=safe_text(error)))
        return False
    reporter.item(Emulated(limits=limits()))
    return True
