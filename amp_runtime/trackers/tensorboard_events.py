"""TensorBoard event files. Needs tensorboard (`pip install 'verify-amp[tensorboard]'`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise ImportError("TensorBoardTracker needs tensorboard: pip install 'verify-amp[tensorboard]'") from error

from amp_runtime.trackers.contract import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.trackers.contract import Scalar


class TensorBoardTracker(Tracker):
    """Write every figure as a scalar of its name, and the configuration as a text, to an event file in `folder`.

    The file is opened by the first call; TensorBoard itself puts time, host name and process number in its name.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._writer: SummaryWriter | None = None
        self._config: dict[str, Scalar] = {}

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._config.update(values)
        text = json.dumps(self._config, indent=2, default=str)
        self._opened().add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._opened().add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder))
        return self._writer
