"""Send what the sanitizer sees of each step to a tracker: W&B, TensorBoard, a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .events import StepEnded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from .events import Event
    from .run import Run

    class Tracks(Protocol):
        """What a tracker of amp_runtime.trackers does."""

        def log(self, step: int, values: Mapping[str, float]) -> None:
            """Take figures of an optimizer step."""


class Tracked:
    """Logs `amp/loss_scale`, `amp/skipped_steps` and `amp/alarms` after every training step.

    A tracker that raises is dropped, and the report says so: what only shows must not end a training.
    """

    def __init__(self, run: Run, tracker: Tracks) -> None:
        self._run = run
        self._tracker = tracker
        self._skipped = 0
        run.listeners.append(self._hear)

    def _hear(self, event: Event) -> None:
        if not isinstance(event, StepEnded):
            return
        run = self._run
        self._skipped += bool(event.skipped) and not run.planted
        values = {"amp/skipped_steps": float(self._skipped), "amp/alarms": float(len(run.alarms()))}
        scale = next((run.scale_of(scaler) for scaler in run.scalers), None)
        if scale is not None:
            values["amp/loss_scale"] = scale
        try:
            self._tracker.log(event.step, values)
        except Exception as error:  # whatever a tracker raises, training goes on
            run.problem(f"{type(self._tracker).__name__} failed and gets no more figures: {error}")
            run.listeners.remove(self._hear)
