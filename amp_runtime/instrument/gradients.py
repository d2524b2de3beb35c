"""What the gradient of each parameter holds: nothing, plain values, scaled ones, unscaled ones, or a mixture.

Parameters that were always treated alike share one `Holding`, so that what happens to all of them is noted once,
however many they are. One that is treated differently is set apart from then on.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
NO_GRADIENT = (0, -1)  # the stamp of a parameter without one
_MOST_LISTS = 100


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
class Holding:
    """What the gradients of some parameters hold.

    Args:
        reason: for MIXED, how it came to be, and `mixed_at` where.
        division: of an UNSCALED one.
        edited: the program writes them by itself, in a way that was not understood.
        used: an optimizer was stepped with them, or left out by its scaler; what they hold is spent.
        members: how many gradients share it; one of them is the `sample`.
    """

    state: str = CLEAN
    origin: Origin = Origin()
    division: Division = Division()
    reason: str = ""
    mixed_at: tuple[str, int] = _NOWHERE
    edited: bool = False
    used: bool = False
    members: int = 0
    sample: Gradient | None = None

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
        """Of the backward that made them, or that made them MIXED."""
        return self.mixed_at if self.state == MIXED else self.origin.place

    def clear(self) -> None:
        self.state, self.used = CLEAN, False

    def mix(self, reason: str, place: tuple[str, int]) -> None:
        """Note that no single division makes it right any more. The first reason stays."""
        if self.state != MIXED:
            self.state, self.reason, self.mixed_at = MIXED, reason, place


class Gradient:
    """One parameter's gradient. `stamp`: identity and version counter of `.grad` when it was last looked at."""

    __slots__ = ("__weakref__", "holding", "parameter", "stamp")

    def __init__(self, parameter: weakref.ref[Any], holding: Holding) -> None:
        self.parameter, self.holding = parameter, holding
        self.stamp: tuple[int, int] = NO_GRADIENT

    @property
    def key(self) -> int:
        """The parameter by its `id`."""
        return id(self.parameter())

    @property
    def state(self) -> str:
        return self.holding.state

    @property
    def used(self) -> bool:
        return self.holding.used

    @property
    def reason(self) -> str:
        return self.holding.reason

    @property
    def division(self) -> Division:
        return self.holding.division

    @property
    def scaler(self) -> int:
        return self.holding.scaler

    @property
    def scale(self) -> float | None:
        return self.holding.scale

    @property
    def place(self) -> tuple[str, int]:
        return self.holding.place

    def stamp_now(self) -> tuple[int, int]:
        parameter = self.parameter()
        gradient = None if parameter is None else parameter.grad
        return NO_GRADIENT if gradient is None else (id(gradient), gradient._version)

    def settle(self) -> None:
        """Take what `.grad` is now as known."""
        self.stamp = self.stamp_now()

    def tensor(self) -> Any:
        parameter = self.parameter()
        return None if parameter is None else parameter.grad


class Group(list[Gradient]):
    """Some gradients, such as those of one optimizer, in the order of their parameters."""

    __slots__ = ("_own", "_owner", "_seen", "_version")

    def __init__(self, owner: Gradients, gradients: Iterable[Gradient] = ()) -> None:
        super().__init__(gradients)
        self._owner, self._version = owner, -1
        self._own: list[Holding] | None = None
        self._seen: list[Holding] = []

    def seen(self) -> list[Holding]:
        """Return what these hold; others may share it."""
        if self._version != self._owner.version:
            self._seen = list({id(one.holding): one.holding for one in self}.values())
            self._own, self._version = None, self._owner.version
        return self._seen

    def own(self) -> list[Holding]:
        """Return what these hold and nobody else, to change it: those that others share are set apart first."""
        seen = self.seen()
        if self._own is None:
            if sum(holding.members for holding in seen) != len(self):
                self._owner.set_apart(self)
                seen = self.seen()
            self._own = seen
        return self._own

    def of(self, holdings: Iterable[Holding]) -> list[Gradient]:
        """Return those that hold one of these."""
        wanted = {id(holding) for holding in holdings}
        return [one for one in self if id(one.holding) in wanted] if wanted else []

    def unused(self, state: str) -> list[Gradient]:
        """Return those in this state that no optimizer was stepped with yet."""
        return self.of(holding for holding in self.seen() if holding.state == state and not holding.used)


@dataclass(frozen=True, slots=True)
class Part:
    """Those gradients of a group that share a holding, with their state before something happened to them."""

    group: Group
    holding: Holding
    before: str

    def gradients(self) -> list[Gradient]:
        return self.group.of([self.holding])


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a list of parameters was found to be. The ends are held weakly: an address may be given out again."""

    group: Group
    unknown: int
    ends: tuple[weakref.ref[Any], ...]
    version: int

    def still(self, parameters: list[Any], version: int) -> bool:
        if self.unknown and self.version != version:  # one of them may have been met meanwhile
            return False
        return not parameters or (self.ends[0]() is parameters[0] and self.ends[-1]() is parameters[-1])


class Gradients:
    """The gradients of every parameter that an optimizer holds, or that a backward has reached."""

    def __init__(self) -> None:
        self.version = 0  # counts how often gradients were met or set apart
        self._known: dict[int, Gradient] = {}
        self._new = Holding()  # of those that nothing has happened to yet
        self._lists: dict[int, tuple[tuple[tuple[int, int], ...], Group]] = {}
        self._listed: dict[tuple[int, int, int], _Listed] = {}

    def of(self, parameter: Any) -> Gradient:
        key = id(parameter)
        found = self._known.get(key)
        if found is None or found.parameter() is not parameter:
            found = self._known[key] = self._meet(weakref.ref(parameter))
        return found

    def _meet(self, parameter: weakref.ref[Any]) -> Gradient:
        self.version += 1
        if self._new != Holding(members=self._new.members, sample=self._new.sample):
            self._new = Holding()
        gradient = Gradient(parameter, self._new)
        self._new.members += 1
        self._new.sample = self._new.sample or gradient
        return gradient

    def known(self, parameter: Any) -> Gradient | None:
        found = self._known.get(id(parameter))
        return found if found is not None and found.parameter() is parameter else None

    def of_optimizer(self, optimizer: Any) -> Group:
        groups = optimizer.param_groups
        shape = tuple([(id(group["params"]), len(group["params"])) for group in groups])
        known = self._lists.get(id(optimizer))
        if known is None or known[0] != shape or not _still(known[1], groups):
            found = Group(self, (self.of(parameter) for group in groups for parameter in group["params"]))
            known = self._lists[id(optimizer)] = shape, found
        return known[1]

    def among(self, parameters: list[Any], *, again: bool = False) -> tuple[Group, int]:
        """Return the known gradients of these parameters, and how many are not known.

        Args:
            again: a list that begins and ends as one that was looked up before is taken for the same.
        """
        key = (len(parameters), id(parameters[0]), id(parameters[-1])) if parameters else (0, 0, 0)
        listed = self._listed.get(key) if again else None
        if listed is None or not listed.still(parameters, self.version):
            found = [self.known(parameter) for parameter in parameters]
            group = Group(self, (gradient for gradient in found if gradient is not None))
            ends = tuple(weakref.ref(parameter) for parameter in (*parameters[:1], *parameters[-1:]))
            listed = _Listed(group=group, unknown=len(found) - len(group), ends=ends, version=self.version)
            if key in self._listed or len(self._listed) < _MOST_LISTS:
                self._listed[key] = listed
        return listed.group, listed.unknown

    def holding(self, tensors: Iterable[Any]) -> Group:
        """Return the gradients whose `.grad` is one of these tensors."""
        wanted = {id(tensor) for tensor in tensors}
        return Group(self, (found for found in self._known.values() if id(found.tensor()) in wanted))

    def all(self) -> Iterable[Gradient]:
        return self._known.values()

    def settle(self) -> None:
        """Take every gradient as it is now as known."""
        for gradient in self._known.values():
            gradient.settle()

    def set_apart(self, gradients: Iterable[Gradient]) -> None:
        """Give these holdings that no other gradient shares; those that share one go on sharing one."""
        self.version += 1
        apart: dict[int, tuple[Holding, Holding]] = {}  # keeps the old ones alive: their `id` is their name
        for one in gradients:
            old = one.holding
            if id(old) not in apart:
                apart[id(old)] = old, replace(old, members=0, sample=one)
            one.holding = apart[id(old)][1]
            one.holding.members += 1
            old.members -= 1
        for old, _new in apart.values():
            if old.members and old.sample is not None and old.sample.holding is not old:
                old.sample = next((one for one in self._known.values() if one.holding is old), None)

    def edited(self, gradients: Group) -> Group:
        """Return those whose `.grad` was replaced or written since the last look, and take this as a look.

        What is written into a gradient that was used already is most often zeros, and never matters.
        """
        found, cleared = Group(self), Group(self)
        for gradient in gradients:
            now = gradient.stamp_now()
            if now == gradient.stamp:
                continue
            gradient.stamp = now
            if now == NO_GRADIENT or gradient.used:
                gradient.stamp = NO_GRADIENT
                cleared.append(gradient)
            elif gradient.state != CLEAN:  # else it was zeroed in place, or is written before any backward
                found.append(gradient)
        for holding in cleared.own():
            holding.clear()
        return found


def healthy(gradients: Group, scaler: int, updates: int) -> bool:
    """Whether all gradients that are there were scaled by this scaler since its last update, and by nothing else."""
    there = [holding for holding in gradients.seen() if holding.state != CLEAN]
    return all(
        holding.state == SCALED and holding.origin.scaler == scaler and holding.origin.update == updates
        for holding in there
    )


def _still(gradients: list[Gradient], groups: list[dict[str, Any]]) -> bool:
    """Whether the list still belongs to these parameters, as far as its two ends show."""
    if not gradients:
        return True
    return gradients[0].parameter() is groups[0]["params"][0] and gradients[-1].parameter() is groups[-1]["params"][-1]
