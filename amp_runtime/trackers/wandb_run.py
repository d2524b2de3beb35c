"""Weights & Biases runs. Needs wandb (`pip install 'verify-amp[wandb]'`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

try:
    import wandb
except ImportError as error:
    raise ImportError("WandbTracker needs wandb: pip install 'verify-amp[wandb]'") from error

from amp_runtime.trackers.contract import Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amp_runtime.trackers.contract import Scalar

Mode = Literal["offline", "online"]
_SERVICE = "WANDB_SERVICE"  # where wandb notes its service process for this program and its children


class WandbTracker(Tracker):
    """Log to one W&B run, which is opened by the first call and finished by `close`.

    wandb's own collection is switched off: no console output, source code, git state, package list, command line,
    machine description or system metrics leave the process through it.

    Args:
        project: of the run.
        name: of the run; None lets W&B choose one.
        folder: where wandb keeps its files (in a folder `wandb`).
        mode: `"offline"` writes a file for `wandb sync` and needs neither network nor account; `"online"` sends.

    Raises:
        ValueError: another mode.
    """

    def __init__(self, project: str, *, folder: str | Path, name: str | None = None, mode: Mode = "offline") -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
        self._project = project
        self._name_of_run = name
        self._folder = Path(folder)
        self._mode = mode
        self._run: wandb.Run | None = None
        self._own_service = False

    def config(self, values: Mapping[str, Scalar]) -> None:
        self._opened().config.update(dict(values), allow_val_change=True)  # type: ignore[no-untyped-call]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._opened().log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run, and end wandb's service process unless the program used wandb before."""
        if self._run is None:
            return
        run, self._run = self._run, None
        try:
            run.finish()
        finally:
            if self._own_service:
                wandb.teardown()

    def _opened(self) -> wandb.Run:
        if self._run is None:
            self._own_service = _SERVICE not in os.environ
            self._folder.mkdir(parents=True, exist_ok=True)
            self._run = wandb.init(
                project=self._project,
                name=self._name_of_run,
                dir=str(self._folder),
                settings=_settings(self._mode),
                reinit="create_new",
            )
        return self._run


def _settings(mode: Mode) -> wandb.Settings:
    return wandb.Settings(
        mode=mode,
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        host="",
        quiet=True,
        save_code=False,
        silent=True,
        symlink=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
