"""What the project replaced is put back, and the state of the process is left alone."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from amp_runtime.probes import originals

if TYPE_CHECKING:
    import pytest


def test_functions_are_put_back_and_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    write, now, state = os.write, time.monotonic, set()
    monkeypatch.setattr(os, "write", None)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(threading, "_shutdown_locks", state, raising=False)
    monkeypatch.setattr(os, "_exit", leaving := lambda _status: None)
    originals.restore()
    assert (os.write, time.monotonic) == (write, now)
    assert threading._shutdown_locks is state  # type: ignore[attr-defined]
    assert os._exit is leaving
