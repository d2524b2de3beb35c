"""The state of every random generator a training run may draw from, as plain data that `weights_only` loads."""

from __future__ import annotations

import logging
import random
import sys
from typing import Any

import torch

_log = logging.getLogger(__name__)


def capture() -> dict[str, Any]:
    """Return the state of Python's, PyTorch's and, where it is loaded, NumPy's global generator."""
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate(), "cuda": [], "numpy": None}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    # A run that never imported NumPy has not drawn from it, and must not pay for it.
    if (numpy := sys.modules.get("numpy")) is not None:
        name, keys, position, has_gauss, gauss = numpy.random.get_state()
        state["numpy"] = (name, keys.tolist(), position, has_gauss, gauss)
    return state


def restore(state: dict[str, Any]) -> None:
    """Set the generators to a captured state. Other GPUs than at capture are left alone, and that is logged."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if present == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
    else:
        _log.warning("%d GPUs when saved, %d now: their generators were not restored", len(state["cuda"]), present)
    if state["numpy"] is not None:
        import numpy as np  # noqa: PLC0415 - only a run that used it needs it

        name, keys, position, has_gauss, gauss = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
