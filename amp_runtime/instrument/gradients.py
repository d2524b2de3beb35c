"""What the gradient of each parameter holds: nothing, plain values, scaled ones, unscaled ones, or a mixture."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CLEAN = "clean"  # none, or zeros
PLAIN = "plain"  # of a loss that was not scaled
SCALED = "scaled"
UNSCALED = "unscaled"  # by its scaler
MIXED = "mixed"  # of losses that were scaled differently; no single division makes it right
UNKNOWN = "unknown"  # written by the program, and nobody has looked how

# how a gradient came to be MIXED
PARTLY = "only a part of its loss is scaled"
TWICE = "its loss is scaled twice"
PLAIN_ADDED = "an unscaled loss was added to a scaled one"
OTHER_SCALER = "two scalers have scaled parts of it"
SCALE_CHANGED = "the scaler was updated between two backwards"
ONTO_UNSCALED = "a scaled loss was added to what was unscaled already"
UNSCALED_TWICE = "it was unscaled twice"
_NOWHERE = ("", 0)


@dataclass(frozen=True, slots=True)
class Origin:
    """The backward that gradients come from, and who scaled its loss. One for all that were reached in the same ways.

    Args:
        scaler: by `id`; 0 where nobody has.
        scale: the factor, where it is known without waiting for the device.
        update: how many updates that scaler had had.
    """

    scaler: int = 0
    scale: float | None = None
    update: int = 0
    place: tuple[str, int] = _NOWHERE


@dataclass(frozen=True, slots=True)
class Division:
    """One unscale: for which optimizer, by `id`, where, and after how many updates of the scaler."""

    optimizer: int = 0
    place: tuple[str, int] = _NOWHERE
    update: int = 0


@dataclass(slots=True)
class Gradient:
    """One parameter's gradient.

    Args:
        stamp: identity and version counter of `.grad` when it was last looked at.
        reason: for MIXED, how it came to be, and `mixed_at` where.
        division: of an UNSCALED one.
        edited: the program writes it by itself, in a way that was not understood.
        used: an optimizer was stepped with it, or left out by its scaler; what it holds is spent.
    """

    parameter: weakref.ref[Any]
    state: str = CLEAN
    stamp: tuple[int, int] = (0, -1)
    origin: Origin = Origin()
    division: Division = Division()
    reason: str = ""
    mixed_at: tuple[str, int] = _NOWHERE
    edited: bool = False
    used: bool = False

    @property
    def key(self) -> int:
        """The parameter by its `id`."""
        return id(self.parameter())

    @property
    def scaler(self) -> int:
        return self.origin.scaler

    @property
    def scale(self) -> float | None:
        return self.origin.scale

    @property
    def update(self) -> int:
        return self.origin.update

    @property
    def place(self) -> tuple[str, int]:
        """Of the backward that made it, or that made it MIXED."""
        return self.mixed_at if self.state == MIXED else self.origin.place

    def stamp_now(self) -> tuple[int, int]:
        parameter = self.parameter()
        gradient = None if parameter is None else parameter.grad
        return (0, -1) if gradient is None else (id(gradient), gradient._version)

    def settle(self) -> None:
        """Take what `.grad` is now as known."""
        self.stamp = self.stamp_now()

    def clear(self) -> None:
        self.state, self.stamp, self.used = CLEAN, (0, -1), False

    def mix(self, reason: str, place: tuple[str, int]) -> None:
        """Note that no single division makes it right any more. The first reason stays."""
        if self.state != MIXED:
            self.state, self.reason, self.mixed_at = MIXED, reason, place

    def tensor(self) -> Any:
        parameter = self.parameter()
        return None if parameter is None else parameter.grad


class Gradients:
    """The gradients of every parameter that an optimizer holds, or that a backward has reached."""

    def __init__(self) -> None:
        self._known: dict[int, Gradient] = {}
        self._lists: dict[int, tuple[tuple[tuple[int, int], ...], list[Gradient]]] = {}

    def of(self, parameter: Any) -> Gradient:
        key = id(parameter)
        found = self._known.get(key)
        if found is None or found.parameter() is not parameter:
            found = self._known[key] = Gradient(parameter=weakref.ref(parameter))
        return found

    def known(self, parameter: Any) -> Gradient | None:
        found = self._known.get(id(parameter))
        return found if found is not None and found.parameter() is parameter else None

    def of_optimizer(self, optimizer: Any) -> list[Gradient]:
        groups = optimizer.param_groups
        shape = tuple([(id(group["params"]), len(group["params"])) for group in groups])
        known = self._lists.get(id(optimizer))
        if known is None or known[0] != shape or not _still(known[1], groups):
            found = [self.of(parameter) for group in groups for parameter in group["params"]]
            known = self._lists[id(optimizer)] = shape, found
        return known[1]

    def among(self, parameters: Iterable[Any]) -> tuple[list[Gradient], int]:
        """Return the known gradients of these parameters, and how many are not known."""
        known = self._known
        found = [known.get(id(parameter)) for parameter in parameters]
        gradients = [gradient for gradient in found if gradient is not None]
        return gradients, len(found) - len(gradients)

    def holding(self, tensors: Iterable[Any]) -> list[Gradient]:
        """Return the gradients whose `.grad` is one of these tensors."""
        wanted = {id(tensor) for tensor in tensors}
        return [found for found in self._known.values() if id(found.tensor()) in wanted]

    def all(self) -> Iterable[Gradient]:
        return self._known.values()

    def settle(self) -> None:
        """Take every gradient as it is now as known."""
        for gradient in self._known.values():
            gradient.settle()

    @staticmethod
    def edited(gradients: Iterable[Gradient]) -> list[Gradient]:
        """Return those whose `.grad` was replaced or written since the last look, and take this as a look.

        What is written into a gradient that was used already is most often zeros, and never matters.
        """
        found = []
        for gradient in gradients:
            now = gradient.stamp_now()
            if now == gradient.stamp:
                continue
            gradient.stamp = now
            if now[0] == 0 or gradient.used:
                gradient.clear()
            elif gradient.state != CLEAN:  # else it was zeroed in place, or is written before any backward
                found.append(gradient)
        return found


def healthy(gradients: Iterable[Gradient], scaler: int, updates: int) -> bool:
    """Whether all gradients that are there were scaled by this scaler since its last update, and by nothing else."""
    right: Origin | None = None
    for gradient in gradients:
        if gradient.state == CLEAN:
            continue
        if gradient.state != SCALED:
            return False
        origin = gradient.origin
        if origin is not right:
            if origin.scaler != scaler or origin.update != updates:
                return False
            right = origin
    return True


def _still(gradients: list[Gradient], groups: list[dict[str, Any]]) -> bool:
    """Whether the list still belongs to these parameters, as far as its two ends show."""
    if not gradients:
        return True
    return gradients[0].parameter() is groups[0]["params"][0] and gradients[-1].parameter() is groups[-1]["params"][-1]
