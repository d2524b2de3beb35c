"""The scaler's protocol as it stands at one point of a path: what is in the gradients, and what was done to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stages.logic.engine.place import Place
    from stages.logic.engine.values import Framework, Key


class Grads(StrEnum):
    """What the gradients of an optimizer's parameters hold."""

    CLEAN = "clean"  # none, or zero
    PLAIN = "plain"
    SCALED = "scaled"
    UNSCALED = "unscaled"  # were scaled, and unscale_ divided them
    MIXED = "mixed"  # sums of parts with different scales
    UNKNOWN = "unknown"


class Turn(StrEnum):
    """Where a scaler stands with one optimizer, as torch's own state machine has it."""

    READY = "ready"
    UNSCALED = "unscaled"
    STEPPED = "stepped"
    UNKNOWN = "unknown"


K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Held:
    """The gradients of one optimizer, or of all that are not named.

    Args:
        scaler: whose scale they carry or carried.
        backwards: the backward calls that went into them since they were cleared.
        unscaled_at: the call that unscaled them.
        stepped_at: the scaler's step that used them; nothing came after it.
        updated_at: an update that changed the scale while they waited for their step.
        cleared_at: the zero_grad that threw them away after they were unscaled.
        clipped_at: a clipping before which, on this path, nothing says what the gradients hold.
        framework_at: the framework's own backward, which scaled the loss if the framework scales at all.
        framework: that framework.
        plain_at: a backward of an unscaled loss that was added to scaled gradients, or they to it.
    """

    status: Grads = Grads.UNKNOWN
    scaler: Key | None = None
    backwards: tuple[Place, ...] = ()
    unscaled_at: Place | None = None
    stepped_at: Place | None = None
    updated_at: Place | None = None
    cleared_at: Place | None = None
    clipped_at: Place | None = None
    framework_at: Place | None = None
    framework: Framework | None = None
    plain_at: Place | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """Everything protocol rules ask about. Immutable: a fork of the path costs nothing.

    Args:
        others: the gradients of optimizers that are not in `held`.
        turns: (scaler, optimizer) -> where the scaler stands.
        steps: scaler -> the `step` calls since its last `update`.
        used: scalers whose `scale` was called.
        updates: scaler -> the `update` call after which it took no further step.
        served: (scaler, optimizer) that a step was taken with.
        dropped: values whose scaled form was thrown away.
        orphaned: (scaler, optimizer) that were served by a scaler which another of the same place has replaced.
    """

    others: Held = field(default_factory=Held)
    held: tuple[tuple[Key, Held], ...] = ()
    turns: tuple[tuple[tuple[Key, Key], tuple[Turn, Place | None]], ...] = ()
    steps: tuple[tuple[Key, tuple[Place, ...]], ...] = ()
    updates: tuple[tuple[Key, Place], ...] = ()
    used: frozenset[Key] = frozenset()
    served: frozenset[tuple[Key, Key]] = frozenset()
    orphaned: frozenset[tuple[Key, Key]] = frozenset()
    dropped: frozenset[Key] = frozenset()

    def grads(self, optimizer: Key) -> Held:
        return dict(self.held).get(optimizer, self.others)

    def turn(self, scaler: Key, optimizer: Key) -> Turn:
        return self._turn(scaler, optimizer)[0]

    def turned_at(self, scaler: Key, optimizer: Key) -> Place | None:
        """Return the unscale_ or step call that brought the scaler where it stands."""
        return self._turn(scaler, optimizer)[1]

    def steps_since_update(self, scaler: Key) -> tuple[Place, ...]:
        return dict(self.steps).get(scaler, ())

    def last_update(self, scaler: Key) -> Place | None:
        """Return the update call after which no further step was taken; None if there was none on this path."""
        return dict(self.updates).get(scaler)

    def optimizers(self) -> tuple[Key, ...]:
        """Return the optimizers seen so far on this path."""
        return tuple(key for key, _ in self.held)

    def turned(self, scaler: Key) -> dict[Key, Turn]:
        return {optimizer: turn for (owner, optimizer), (turn, _) in self.turns if owner == scaler}

    def with_grads(self, optimizer: Key | None, held: Held) -> Protocol:
        """Set the gradients of one optimizer, or of all of them."""
        if optimizer is None:
            return replace(self, others=held, held=tuple((key, held) for key, _ in self.held))
        return replace(self, held=_put(self.held, optimizer, held))

    def with_turn(self, scaler: Key, optimizer: Key, turn: Turn, node: Place | None = None) -> Protocol:
        return replace(self, turns=_put(self.turns, (scaler, optimizer), (turn, node)))

    def stepped(self, scaler: Key, optimizer: Key, node: Place) -> Protocol:
        done = (*self.steps_since_update(scaler), node)[-4:]
        updates = tuple(item for item in self.updates if item[0] != scaler)
        served = self.served | {(scaler, optimizer)}
        return replace(self, steps=_put(self.steps, scaler, done), updates=updates, served=served)

    def updated(self, scaler: Key, node: Place) -> Protocol:
        """Every optimizer of the scaler is ready again. Optimizers that never met it stay unmentioned."""
        turns = tuple((pair, state) for pair, state in self.turns if pair[0] != scaler)
        steps = tuple(item for item in self.steps if item[0] != scaler)
        held = tuple((key, _waits(grads, scaler, node)) for key, grads in self.held)
        others = _waits(self.others, scaler, node)
        updates = _put(self.updates, scaler, node)
        return replace(self, turns=turns, steps=steps, updates=updates, held=held, others=others)

    def renewed(self, scaler: Key) -> Protocol:
        """Return what a scaler made where one was made before leaves: it knows nothing of what the other did."""
        return replace(
            self,
            turns=tuple((pair, state) for pair, state in self.turns if pair[0] != scaler),
            steps=tuple(item for item in self.steps if item[0] != scaler),
            updates=tuple(item for item in self.updates if item[0] != scaler),
            used=self.used - {scaler},
            orphaned=self.orphaned | {pair for pair in self.served if pair[0] == scaler},
        )

    def replaced(self, optimizer: Key) -> Protocol:
        """Return what an optimizer made where one was made before leaves: no scaler knows it."""
        return replace(
            self,
            turns=tuple((pair, state) for pair, state in self.turns if pair[1] != optimizer),
            served=frozenset(pair for pair in self.served if pair[1] != optimizer),
            orphaned=frozenset(pair for pair in self.orphaned if pair[1] != optimizer),
        )

    def forget(self, scaler: Key | None, optimizer: Key | None) -> Protocol:
        """Code that is not in sight got the scaler or the optimizer: nothing about it is certain any more."""
        lost = Held()
        found = self
        for key, _ in self.held:
            if optimizer in (None, key):
                found = found.with_grads(key, lost)
        if optimizer is None:
            found = replace(found, others=lost)
        turns = tuple(
            (pair, (Turn.UNKNOWN, None) if scaler in (None, pair[0]) or pair[1] == optimizer else state)
            for pair, state in found.turns
        )
        return replace(found, turns=turns)

    def _turn(self, scaler: Key, optimizer: Key) -> tuple[Turn, Place | None]:
        return dict(self.turns).get((scaler, optimizer), (Turn.READY, None))


def _put(pairs: tuple[tuple[K, V], ...], key: K, value: V) -> tuple[tuple[K, V], ...]:
    return (*(pair for pair in pairs if pair[0] != key), (key, value))


def _waits(held: Held, scaler: Key, update: Place) -> Held:
    """Gradients that carry a scale when it changes."""
    return replace(held, updated_at=update) if held.status is Grads.SCALED and held.scaler == scaler else held
