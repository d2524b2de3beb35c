"""Everything a run needs to go on as if it had never stopped, in one file that is whole or absent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from amp_runtime import rng

if TYPE_CHECKING:
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

FORMAT = 1
_PARTS = frozenset({"format", "number", "model", "optimizer", "scheduler", "policy", "rng", "extra"})


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one of this run."""


def save_checkpoint(path: str | Path, step: TrainingStep[Batch], *, extra: Mapping[str, Plain] | None = None) -> None:
    """Write model, optimizer, scheduler, loss scaler, random generators and step number.

    The file is written beside `path`, flushed to the disk, read back as `load_checkpoint` would, and only then put
    in place in one move: a crash at any moment leaves the old checkpoint or the new one.

    Args:
        extra: plain data of the caller's own, such as the position in its data; `load_checkpoint` returns it.

    Raises:
        CheckpointError: some part of the state cannot be loaded back safely; an old checkpoint stays as it was.
        OSError: the disk is full, or the folder cannot be written.
    """
    state = {
        "format": FORMAT,
        "number": step.number,
        "model": step.model.state_dict(),
        "optimizer": step.optimizer.state_dict(),
        "scheduler": None if step.scheduler is None else step.scheduler.state_dict(),
        "policy": step.policy.state_dict(),
        "rng": rng.capture(),
        "extra": dict(extra or {}),
    }
    _write_atomically(Path(path), state)


def load_checkpoint(path: str | Path, step: TrainingStep[Batch]) -> dict[str, Plain]:
    """Put a saved run's state into `step` and the random generators; returns the saved `extra`.

    On a CPU the run then continues bit for bit. Only tensors and plain data are unpickled, never code. Everything is
    checked first, so a checkpoint that does not fit changes nothing.

    Raises:
        CheckpointError: the file is damaged, or of another model, optimizer, scheduler or precision.
        FileNotFoundError: there is no such file.
    """
    state = _read(Path(path), mmap=False)
    _check(state, step)
    step.model.load_state_dict(state["model"])
    step.optimizer.load_state_dict(state["optimizer"])
    if step.scheduler is not None:
        step.scheduler.load_state_dict(state["scheduler"])
    step.policy.load_state_dict(state["policy"])
    step.number = state["number"]
    rng.restore(state["rng"])
    extra: dict[str, Plain] = state["extra"]
    return extra


def _write_atomically(path: Path, state: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("xb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        _read(beside, mmap=True)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    # The new name is on the disk only when its folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, *, mmap: bool) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load raises half a dozen types for damaged files and refused objects
        raise CheckpointError(f"{path} cannot be loaded safely: {error}") from error
    if not isinstance(state, dict) or set(state) != _PARTS:
        raise CheckpointError(f"{path} is not a checkpoint of a training run")
    if state["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {state['format']}; this version reads {FORMAT}")
    return state


def _check(state: dict[str, Any], step: TrainingStep[Batch]) -> None:
    saved, wanted = _shapes(state["model"]), _shapes(step.model.state_dict())
    if saved != wanted:
        names = sorted(name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name))
        first = names[0]
        raise CheckpointError(
            f"the checkpoint is of another model: {len(names)} entries differ, first {first!r}: "
            f"saved {saved.get(first, 'nothing')}, needed {wanted.get(first, 'nothing')}"
        )
    groups = [len(group["params"]) for group in state["optimizer"]["param_groups"]]
    if groups != [len(group["params"]) for group in step.optimizer.param_groups]:
        raise CheckpointError(f"the checkpoint is of another optimizer: its groups have {groups} parameters")
    if (state["scheduler"] is None) != (step.scheduler is None):
        has = "no scheduler" if state["scheduler"] is None else "a scheduler"
        raise CheckpointError(f"the checkpoint has {has}, which does not match this run")
    if state["policy"]["precision"] != step.policy.precision.value:
        raise CheckpointError(
            f"the checkpoint was saved by a {state['policy']['precision']} run; this one trains in "
            f"{step.policy.precision}"
        )


def _shapes(state: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        for name, value in state.items()
    }
