"""Where in its data a run is, and how a resumed one gets there again with the same shuffling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from amp_runtime import rng

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Batch = TypeVar("Batch")


@dataclass(slots=True, kw_only=True)
class Position:
    """A place in the data, with what decided the order of the epoch.

    Args:
        epoch: from 1.
        batches: taken from the data in this epoch so far, micro-batches counted singly.
        begin: the random generators as they were when the epoch began; None before one has begun.
    """

    epoch: int = 1
    batches: int = 0
    begin: dict[str, Any] | None = field(default=None)


def open_epoch(data: Iterable[Batch], position: Position) -> Iterator[Batch]:
    """Begin to iterate over `data` in the epoch of `position`, or go on in its middle.

    In the middle, the generators are set back to the epoch's beginning, the data is opened as it was then, and
    what was taken is taken again and dropped; then the generators get their present state back. This repeats the
    order of any data whose order depends on random generators alone, and costs the loading of the dropped batches.
    Samplers that want to know the epoch (`set_epoch`, as DistributedSampler) are told.

    Raises:
        ValueError: the data ends before the position is reached.
    """
    _tell_epoch(data, position.epoch)
    if not position.batches:
        position.begin = _capture(data)
        return iter(data)
    now = _capture(data)
    _restore(data, position.begin or now)
    stream = iter(data)
    for number in range(position.batches):
        if next(stream, stream) is stream:
            raise ValueError(
                f"epoch {position.epoch} was left after {position.batches} batches, but now has only {number}; "
                "a run is resumed with the same data and batch size"
            )
    _restore(data, now)
    return stream


def generator_states(data: object) -> list[torch.Tensor]:
    """Return the states of the generators that a DataLoader or its sampler has of its own."""
    return [generator.get_state() for generator in _generators(data)]


def restore_generators(data: object, states: list[torch.Tensor]) -> None:
    """Put back what `generator_states` returned. Raises ValueError where `data` has another number of generators."""
    generators = _generators(data)
    if len(generators) != len(states):
        raise ValueError(f"the data had {len(states)} random generators of its own when saved, now {len(generators)}")
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)


def _capture(data: object) -> dict[str, Any]:
    return {"global": rng.capture(), "own": generator_states(data)}


def _restore(data: object, state: dict[str, Any]) -> None:
    rng.restore(state["global"])
    restore_generators(data, state["own"])


def _generators(data: object) -> list[torch.Generator]:
    found: list[torch.Generator] = []
    for owner in _parts(data):
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator) and not any(generator is known for known in found):
            found.append(generator)
    return found


def _tell_epoch(data: object, epoch: int) -> None:
    for owner in _parts(data):
        if callable(tell := getattr(owner, "set_epoch", None)):
            tell(epoch)


def _parts(data: object) -> list[object]:
    """Return the data, its sampler and its batch sampler's sampler, each once."""
    batch_sampler = getattr(data, "batch_sampler", None)
    parts = [data, getattr(data, "sampler", None), getattr(batch_sampler, "sampler", None)]
    return [
        part for number, part in enumerate(parts) if part is not None and all(part is not p for p in parts[:number])
    ]
