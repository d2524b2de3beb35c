"""Whether a loaded checkpoint is one of this run: model, optimizer, scheduler and further objects, each named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from amp_runtime.checkpoint_files import CheckpointError
from amp_runtime.weights import model_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch.optim import Optimizer

    from amp_runtime.step import TrainingStep

Batch = TypeVar("Batch")

_log = logging.getLogger(__name__)

_SHOWN = 5  # names in one sentence


def describe_parameters(optimizer: Optimizer) -> dict[str, Any]:
    """Return what must be the same for an optimizer's state to make sense: its type and its parameters' shapes."""
    shapes = [[list(parameter.shape) for parameter in group["params"]] for group in optimizer.param_groups]
    return {"type": type(optimizer).__name__, "shapes": shapes}


def check_fit(state: Mapping[str, Any], step: TrainingStep[Batch], objects: Iterable[str]) -> None:
    """Refuse a checkpoint of another run, and log hyper-parameters in which it differs: its own will hold.

    Raises:
        CheckpointError: the first part that does not fit.
    """
    _check_model(state["model"], model_state(step.model))
    _check_optimizers(state["parameters"], [describe_parameters(optimizer) for optimizer in step.optimizers])
    _check_schedulers(state["scheduler_types"], [type(scheduler).__name__ for scheduler in step.schedulers])
    _check_objects(set(state["objects"]), set(objects))
    for saved, optimizer in zip(state["optimizers"], step.optimizers, strict=True):
        _log_differences(saved["param_groups"], optimizer.param_groups)


def _check_model(saved_state: Mapping[str, Any], wanted_state: Mapping[str, Any]) -> None:
    saved, wanted = _shapes(saved_state), _shapes(wanted_state)
    names = sorted(name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name))
    if names:
        told = [f"{name!r}: saved {saved.get(name, 'nothing')}, needed {wanted.get(name, 'nothing')}" for name in names]
        more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise CheckpointError(
            f"the checkpoint is of another model, {len(names)} entries differ: {'; '.join(told[:_SHOWN])}{more}"
        )


def _check_optimizers(saved: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> None:
    if len(saved) != len(wanted):
        raise CheckpointError(f"the checkpoint is of {len(saved)} optimizers, and this run has {len(wanted)}")
    for old, new in zip(saved, wanted, strict=True):
        _check_optimizer(old, new)


def _check_optimizer(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if saved["type"] != wanted["type"]:
        raise CheckpointError(
            f"the checkpoint is of another optimizer: saved by {saved['type']}, this run has {wanted['type']}"
        )
    counts = [[len(group) for group in side["shapes"]] for side in (saved, wanted)]
    if counts[0] != counts[1]:
        raise CheckpointError(
            f"the checkpoint is of another optimizer: its groups have {counts[0]} parameters, this run's {counts[1]}"
        )
    for number, (old, new) in enumerate(zip(saved["shapes"], wanted["shapes"], strict=True)):
        for place, (before, now) in enumerate(zip(old, new, strict=True)):
            if before != now:
                raise CheckpointError(
                    f"the checkpoint is of another optimizer: parameter {place} of group {number} had the shape "
                    f"{before}, now it has {now}; were they given in another order?"
                )


def _check_schedulers(saved: Sequence[str], wanted: Sequence[str]) -> None:
    if list(saved) != list(wanted):
        has, needs = ("no scheduler" if not names else ", ".join(names) for names in (saved, wanted))
        raise CheckpointError(f"the checkpoint has {has}, which does not match this run: it has {needs}")


def _check_objects(saved: set[str], wanted: set[str]) -> None:
    if missing := sorted(wanted - saved):
        raise CheckpointError(f"the checkpoint has no state of {missing[0]!r}, which this run needs")
    if unused := sorted(saved - wanted):
        raise CheckpointError(
            f"the checkpoint has the state of {unused[0]!r}, which this run does not have; give it as an object"
        )


def _log_differences(saved: list[dict[str, Any]], own: list[dict[str, Any]]) -> None:
    # A schedule moves `lr` away from where it began; then the beginning is what a person has set.
    for number, (old, new) in enumerate(zip(saved, own, strict=True)):
        skipped = {"params", "lr"} if "initial_lr" in old and "initial_lr" in new else {"params"}
        for name in sorted((old.keys() & new.keys()) - skipped):
            if not isinstance(old[name], torch.Tensor) and old[name] != new[name]:
                _log.warning(
                    "%s of parameter group %d is %r in this run and %r in the checkpoint, which wins",
                    name,
                    number,
                    new[name],
                    old[name],
                )


def _shapes(state: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        for name, value in state.items()
    }
