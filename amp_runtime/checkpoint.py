"""Everything a run needs to go on as if it had never stopped, in one folder that is whole or absent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import torch

from amp_runtime import rng
from amp_runtime.checkpoint_files import CheckpointError, data_files, read_manifest, write_folder
from amp_runtime.checkpoint_fit import check_fit, describe_parameters
from amp_runtime.weights import load_model_state, model_state, read_weights, write_weights

if TYPE_CHECKING:
    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

_log = logging.getLogger(__name__)


@runtime_checkable
class Stateful(Protocol):
    """Anything else that must be saved: a data sampler, a second model, a tokenizer's counters."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain data only."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Take over what `state_dict` returned; raise where it does not fit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint says about itself without being loaded.

    Args:
        step: number of the last optimizer step in it.
        metrics: what was given to `save_checkpoint`.
        objects: names of the further objects in it.
    """

    path: Path
    step: int
    precision: str
    torch: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    objects: tuple[str, ...] = ()


def save_checkpoint(
    path: str | Path,
    step: TrainingStep[Batch],
    *,
    extra: Mapping[str, Plain] | None = None,
    objects: Mapping[str, Stateful] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Write model, optimizers, schedulers, loss scaler, EMA, random generators, step number and `objects` to a folder.

    Weights go to a safetensors file, the rest to a file that `torch.load(weights_only=True)` reads. What is written is
    flushed to the disk and read back before the manifest is put in place in one move: a crash at any moment leaves
    the old checkpoint or the new one.

    Args:
        path: the folder; it is made if need be.
        extra: plain data of the caller's own, such as the position in its data; `load_checkpoint` returns it.
        objects: what else has a state, by name; the step's own EMA is `ema`.
        metrics: figures of this moment for `read_info`, by which one checkpoint is better than another.

    Raises:
        CheckpointError: some part of the state cannot be loaded back safely; an old checkpoint stays as it was.
        OSError: the disk is full, or the folder cannot be written.
    """
    objects = _with_ema(step, objects)
    state = {**_gather(step, objects), "extra": dict(extra or {})}
    weights = {name: value for name, value in state["model"].items() if isinstance(value, torch.Tensor)}
    state["model"] = {name: value for name, value in state["model"].items() if name not in weights}
    facts = {
        "step": step.number,
        "precision": step.policy.precision.value,
        "torch": str(torch.__version__),
        "objects": sorted(objects),
        "metrics": {name: _as_json(float(value)) for name, value in (metrics or {}).items()},
    }
    writers: dict[str, Callable[[Path], None]] = {
        "model.safetensors": lambda file: _write_model(weights, file),
        "state.pt": lambda file: _write_state(state, file),
    }
    write_folder(Path(path), facts, writers)


def load_checkpoint(
    path: str | Path, step: TrainingStep[Batch], *, objects: Mapping[str, Stateful] | None = None
) -> dict[str, Plain]:
    """Put a saved run's state into `step`, `objects` and the random generators; returns the saved `extra`.

    On a CPU the run then continues bit for bit. Only tensors and plain data are unpickled, never code. Everything is
    read and checked first; should an object refuse its state after that, all others get theirs back.

    Between precisions, weights, optimizer, schedule, random generators and step number are kept. The loss scale and
    its counters are kept only from an fp16 run to an fp16 run; otherwise loss scaling starts afresh. That is logged.

    Raises:
        CheckpointError: the folder is damaged, or of another model, optimizer, scheduler or set of objects.
        FileNotFoundError: there is no such folder.
    """
    folder, objects = Path(path), _with_ema(step, objects)
    state = _read(folder)
    check_fit(state, step, objects)
    before = _on_host(_gather(step, objects))
    try:
        _put(state, step, objects)
    except Exception as error:
        _put(before, step, objects)
        raise CheckpointError(f"{folder} does not fit this run, which was left as it was: {error}") from error
    extra: dict[str, Plain] = state["extra"]
    return extra


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return only the weights of a checkpoint, on the CPU: what inference needs, and no optimizer.

    Raises:
        CheckpointError, FileNotFoundError: as `load_checkpoint`.
    """
    return read_weights(data_files(Path(path))["model.safetensors"])


def read_info(path: str | Path) -> CheckpointInfo:
    """Say what is in a checkpoint; reads the manifest only, so damaged data goes unnoticed.

    Raises:
        CheckpointError, FileNotFoundError: as `load_checkpoint`, as far as the manifest is concerned.
    """
    facts = read_manifest(Path(path))["facts"]
    return CheckpointInfo(
        path=Path(path),
        step=facts["step"],
        precision=facts["precision"],
        torch=facts["torch"],
        metrics={name: float(value) for name, value in facts["metrics"].items()},
        objects=tuple(facts["objects"]),
    )


def _with_ema(step: TrainingStep[Batch], objects: Mapping[str, Stateful] | None) -> dict[str, Stateful]:
    """Add the average of the weights, where the step has one, to what the caller names."""
    ema: dict[str, Stateful] = {} if step.ema is None else {"ema": step.ema}
    return {**ema, **(objects or {})}


def _gather(step: TrainingStep[Batch], objects: Mapping[str, Stateful]) -> dict[str, Any]:
    return {
        "number": step.number,
        "withheld_in_a_row": step.withheld_in_a_row,
        "model": model_state(step.model),
        "optimizers": [optimizer.state_dict() for optimizer in step.optimizers],
        "parameters": [describe_parameters(optimizer) for optimizer in step.optimizers],
        "schedulers": [scheduler.state_dict() for scheduler in step.schedulers],
        "scheduler_types": [type(scheduler).__name__ for scheduler in step.schedulers],
        "policy": step.policy.state_dict(),
        "rng": rng.capture(),
        "objects": {name: thing.state_dict() for name, thing in objects.items()},
    }


def _put(state: dict[str, Any], step: TrainingStep[Batch], objects: Mapping[str, Stateful]) -> None:
    # Those that may refuse come first. The generators come last: taking over a state may draw from them.
    for name, thing in objects.items():
        try:
            thing.load_state_dict(state["objects"][name])
        except Exception as error:
            raise CheckpointError(f"{name!r} refused its state ({type(error).__name__}: {error})") from error
    for optimizer, saved in zip(step.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for scheduler, saved in zip(step.schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    load_model_state(step.model, state["model"])
    step.policy.load_state_dict(state["policy"])
    step.number, step.withheld_in_a_row = state["number"], state["withheld_in_a_row"]
    rng.restore(state["rng"])


def _read(folder: Path) -> dict[str, Any]:
    files = data_files(folder)
    try:
        state = torch.load(files["state.pt"], map_location="cpu", weights_only=True)
        state["model"].update(read_weights(files["model.safetensors"]))
    except Exception as error:  # both readers raise half a dozen types, and the bytes are those that were written
        raise CheckpointError(f"{folder} cannot be loaded safely: {error}") from error
    return dict(state)


def _write_model(weights: dict[str, torch.Tensor], file: Path) -> None:
    try:
        write_weights(weights, file)
    except ValueError as error:
        raise CheckpointError(f"the model cannot be saved: {error}") from error


def _write_state(state: dict[str, Any], file: Path) -> None:
    torch.save(state, file)
    try:
        torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # whatever it is, this file must not take the place of a good one
        raise CheckpointError(f"some part of the state cannot be loaded safely: {error}") from error


def _on_host(value: Any) -> Any:
    """Copy a state so that nothing done to the run can change the copy."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _on_host(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        copies = [_on_host(item) for item in value]
        return copies if isinstance(value, list) else tuple(copies)
    return value


def _as_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
