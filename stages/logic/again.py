"""Why a scaler meets gradients that it unscaled before: called twice, an early exit, or accumulation going on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages.logic.engine.events import Unscaled
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.exits import always_in_a_loop_without_step, backward_since, detour, guarded_alike, plain_step_since

if TYPE_CHECKING:
    from stages.logic.engine.events import Stepped
    from stages.logic.engine.place import Place
    from stages.logic.exits import Detour


@dataclass(frozen=True, slots=True)
class Again:
    """A scaler that stands at UNSCALED, or beyond, where it should have been updated.

    Args:
        first: the call that brought it there.
        test: what sent the path around the step, if a test did.
    """

    why: Literal["twice", "exit", "accumulation", "no update"]
    first: Place
    test: Detour | None = None
    certain: bool = True


def met_again(event: Unscaled | Stepped) -> Again | None:
    """Return why the scaler comes to an optimizer that it is not done with; None where it is in order."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return None
    protocol, optimizer = event.state.protocol, event.optimizer.key
    turn, first = protocol.turn(scaler.key, optimizer), protocol.turned_at(scaler.key, optimizer)
    if first is None or (turn is Turn.UNSCALED and not isinstance(event, Unscaled) and not _added(event, first)):
        return None
    later = event.place == first or backward_since(event.state, first)
    if turn is Turn.STEPPED:
        return Again("no update" if later or not isinstance(event, Unscaled) else "twice", first)
    if turn is not Turn.UNSCALED or plain_step_since(event.state, first):
        return None
    if not later:
        return Again("twice", first)
    return _of_loop(event, first)


def _of_loop(event: Unscaled | Stepped, first: Place) -> Again:
    test = detour(event.state, first)
    if test is None:
        return Again("accumulation", first, certain=always_in_a_loop_without_step(first))
    if test.kind == "boundary":
        return Again("accumulation", first, test, certain=not guarded_alike(first))
    return Again("exit", first, test)


def _added(event: Stepped | Unscaled, first: Place) -> bool:
    """Say whether scaled gradients were added to, or took the place of, those that were unscaled."""
    held = event.state.protocol.grads(event.optimizer.key)
    mixed = held.status is Grads.MIXED and held.plain_at is None
    return (mixed or held.status is Grads.SCALED) and backward_since(event.state, first)
