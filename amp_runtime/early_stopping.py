"""Stop when a figure no longer improves, and go back to the weights with which it was best."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from amp_runtime.callbacks import Callback
from amp_runtime.monitor import Monitor
from amp_runtime.weights import load_model_state, model_state

if TYPE_CHECKING:
    from amp_runtime.history import EpochRecord, History, ValidationRecord
    from amp_runtime.run import TrainingRun

_log = logging.getLogger(__name__)


class EarlyStopping(Callback):
    """End training after `patience` looks in a row without an improvement.

    A look is a validation or, for a figure of training, the end of an epoch. NaN is no improvement. Best value and
    patience used up go into checkpoints, and with them the best weights.

    Args:
        monitor: what is watched; `"validation_loss"` and the like.
        mode: `"min"` or `"max"`; empty for max with accuracy and min otherwise.
        min_delta: by how much more than this a figure must be better, in its own unit.
        restore_best: at the end of training put the best weights (and buffers) back into the model, however training
            ended, except by an exception or Ctrl-C; averaged ones where those were validated. Costs a copy of the
            weights in host memory.

    Raises:
        ValueError: a patience below 1, or see `Monitor`. From `fit`: a validation figure without validation data.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        patience: int = 3,
        min_delta: float = 0.0,
        mode: str = "",
        restore_best: bool = True,
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"patience must be a whole number of at least 1, not {patience!r}")
        self.monitor = Monitor(name=monitor, mode=mode, min_delta=min_delta)
        self.patience = patience
        self.best: float | None = None
        self.best_step = 0
        self.waited = 0
        self._restore_best = restore_best
        self._best_state: dict[str, Any] | None = None
        self._run: TrainingRun[Any] | None = None

    def on_start(self, run: TrainingRun[Any]) -> None:
        if self.monitor.is_validation and run.validation is None:
            raise ValueError(f"EarlyStopping watches {self.monitor.name}, but fit was given no validation data")
        self._run = run

    def on_validation(self, record: ValidationRecord) -> None:
        if self.monitor.is_validation:
            self._look(self.monitor.of_validation(record), record.step)

    def on_epoch(self, record: EpochRecord) -> None:
        if not self.monitor.is_validation:
            self._look(self.monitor.of_epoch(record), record.step)

    def _look(self, value: float, step: int) -> None:
        run = self._started()
        if self.monitor.improves(value, self.best):
            self.best, self.best_step, self.waited = value, step, 0
            if self._restore_best:
                with run.measured():
                    self._best_state = {name: _copy(part) for name, part in model_state(run.step.model).items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            best = "it never was a number" if self.best is None else f"best {self.best:.6g} at step {self.best_step}"
            run.stop(f"{self.monitor.name} has not improved {self.waited} times in a row: {best}")

    def on_end(self, history: History) -> None:
        run = self._started()
        if self._best_state is None or history.interrupted:
            return
        load_model_state(run.step.model, self._best_state)
        _log.info("the weights of step %d are back, where %s was %.6g", self.best_step, self.monitor.name, self.best)

    def _started(self) -> TrainingRun[Any]:
        if self._run is None:
            raise RuntimeError("EarlyStopping was not given to fit")
        return self._run

    def state_dict(self) -> dict[str, Any]:
        return {
            "monitor": self.monitor.name,
            "best": self.best,
            "best_step": self.best_step,
            "waited": self.waited,
            "best_state": self._best_state,
        }

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take over a saved state. Raises ValueError for one that watched another figure."""
        if state["monitor"] != self.monitor.name:
            raise ValueError(f"the saved run watched {state['monitor']}, this one {self.monitor.name}")
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]
        self._best_state = state["best_state"]


def _copy(part: Any) -> Any:
    return part.detach().to("cpu", copy=True) if isinstance(part, torch.Tensor) else part
