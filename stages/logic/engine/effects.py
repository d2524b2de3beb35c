"""What the primitives of AMP training do to a path: each tells the rules first, then moves the protocol on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from stages.logic.engine.contexts import autocasting
from stages.logic.engine.events import (
    Backward,
    Clipped,
    GradsEdited,
    GradsRead,
    Scaled,
    ScheduleStepped,
    Stepped,
    Unscaled,
    Updated,
    ZeroGrad,
)
from stages.logic.engine.ownership import concerned
from stages.logic.engine.plain import is_plain
from stages.logic.engine.protocol import Grads, Held, Turn
from stages.logic.engine.state import Round
from stages.logic.engine.values import (
    Const,
    Framework,
    Gradient,
    Optimizer,
    ScaleNumber,
    Scaler,
    Tensor,
    Value,
    fresh,
    key_of,
)

if TYPE_CHECKING:
    import ast

    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.events import Event
    from stages.logic.engine.place import Place
    from stages.logic.engine.protocol import Protocol
    from stages.logic.engine.state import Active
    from stages.logic.engine.values import Key, Model, Params, Scheduler
    from stages.logic.engine.walker import Walker

_SITES = 4  # backward calls remembered
_ANY = (("element",), ("item",), ("joined",), ("joined-plain",), ("call",), ("index",))
_MADE = 3  # optimizers of one call that are told apart


def new_optimizer(attempt: Attempt, node: ast.AST) -> Key:
    """Return the key of an optimizer that is made here; a call that makes several makes different ones."""
    made = sum(key[:2] == ("optimizer", node) for key in attempt.state.known)
    return ("optimizer", node, attempt.frame.calls[-1:], min(made, _MADE))


def meet(attempt: Attempt, optimizer: Optimizer, *, made: bool = False) -> None:
    """Have the protocol know an optimizer from here on."""
    protocol = attempt.state.protocol
    if made:
        attempt.state.protocol = protocol.replaced(optimizer.key).with_grads(optimizer.key, Held(Grads.CLEAN))
    elif optimizer.key not in protocol.optimizers():
        attempt.state.protocol = protocol.with_grads(optimizer.key, protocol.others)
    attempt.state.known[optimizer.key] = optimizer


def scale(walker: Walker, attempt: Attempt, node: ast.Call, scaler: Scaler, value: Value, *, dropped: bool) -> Value:
    """Do `scaler.scale(value)`."""
    _tell(walker, attempt, Scaled(**_at(attempt, node), scaler=scaler, value=value, dropped=dropped))
    if scaler.enabled is False:
        return value
    protocol = attempt.state.protocol
    lost = protocol.dropped | {key_of(value)} if dropped else protocol.dropped
    attempt.state.protocol = replace(protocol, used=protocol.used | {scaler.key}, dropped=lost)
    if isinstance(value, Tensor):
        return Tensor((*value.scalers, scaler.key)[-3:], value.mixed, node, value.mixed_at)
    return Tensor((scaler.key,), False, node)


def backward(walker: Walker, attempt: Attempt, node: ast.Call, loss: Value, by: Framework | str | None = None) -> None:
    """Do `loss.backward()`, or a framework's own."""
    carries = loss if isinstance(loss, Tensor) else None
    certain = carries is not None or is_plain(loss) or key_of(loss) in attempt.state.protocol.dropped
    event = Backward(**_at(attempt, node), loss=loss, carries=carries, certain=certain, by=by)  # type: ignore[arg-type]
    _tell(walker, attempt, event)
    attempt.note("backward" if carries is None else "backward of a scaled loss", node)
    place = attempt.frame.place(node)
    protocol = attempt.state.protocol
    status = _arrives(carries, certain=certain, by=by)
    alone = len(protocol.optimizers()) < 2
    for key in protocol.optimizers():
        protocol = protocol.with_grads(key, _mixed(protocol.grads(key), status, carries, place, alone=alone))
    protocol = replace(protocol, others=_mixed(protocol.others, status, carries, place, alone=alone))
    if isinstance(by, Framework):
        protocol = _through_framework(attempt, protocol, place, by)
    attempt.state.protocol = protocol
    attempt.state.round = Round(attempt.frame.open_loops)
    _mark_ran(attempt, place)


def unscaled_by_framework(attempt: Attempt) -> None:
    """Let a framework unscale the gradients of every optimizer that it prepared."""
    attempt.state.protocol = _through_framework(attempt, attempt.state.protocol, None, None)


def _through_framework(
    attempt: Attempt, protocol: Protocol, place: Place | None, framework: Framework | None
) -> Protocol:
    """Mark the gradients of the optimizers that it prepared, of all where it is out of sight which these are."""
    prepared = [key for key in protocol.optimizers() if attempt.state.known[key].prepared]
    for key in prepared or protocol.optimizers():
        held = replace(protocol.grads(key), framework_at=place, framework=framework)
        protocol = protocol.with_grads(key, held)
    if prepared:
        return protocol
    return replace(protocol, others=replace(protocol.others, framework_at=place, framework=framework))


def unscale(walker: Walker, attempt: Attempt, node: ast.Call, scaler: Scaler, optimizer: Optimizer) -> None:
    """Do `scaler.unscale_(optimizer)`."""
    meet(attempt, optimizer)
    _tell(walker, attempt, Unscaled(**_at(attempt, node), scaler=scaler, optimizer=optimizer))
    if scaler.enabled is False:
        return
    attempt.note(f"unscale_({optimizer.label})", node)
    _blur(attempt, optimizer)
    place = attempt.frame.place(node)
    protocol = attempt.state.protocol
    held = protocol.grads(optimizer.key)
    status = Grads.MIXED if held.status is Grads.MIXED else Grads.UNSCALED
    protocol = protocol.with_grads(optimizer.key, replace(held, status=status, scaler=scaler.key, unscaled_at=place))
    raises = protocol.turn(scaler.key, optimizer.key) in (Turn.UNSCALED, Turn.STEPPED)
    turn = Turn.UNKNOWN if raises else Turn.UNSCALED  # what comes after an error is no further finding
    attempt.state.protocol = protocol.with_turn(scaler.key, optimizer.key, turn, place)


def clip(
    walker: Walker,
    attempt: Attempt,
    node: ast.Call,
    params: Params,
    how: str,
    limit: Value | None,
    *,
    by: Framework | Model | None = None,
    error_if_nonfinite: bool = False,
) -> None:
    """Clip gradients, by any function."""
    event = Clipped(
        **_at(attempt, node), params=params, how=how, limit=limit, by=by, error_if_nonfinite=error_if_nonfinite
    )
    _tell(walker, attempt, event)
    attempt.note(f"{how} clips gradients", node)
    if by is not None:
        unscaled_by_framework(attempt)
    else:
        _remember_clipping(attempt, params, attempt.frame.place(node))


def _remember_clipping(attempt: Attempt, params: Params, place: Place) -> None:
    """Remember what was clipped without knowing its scale: what happens next to it may tell."""
    protocol = attempt.state.protocol
    keys = concerned(attempt.state, params)
    for key in keys:
        protocol = protocol.with_grads(key, _clipped(protocol.grads(key), place))
    if not keys:
        protocol = replace(protocol, others=_clipped(protocol.others, place))
    attempt.state.protocol = protocol


def _clipped(held: Held, place: Place) -> Held:
    return replace(held, clipped_at=place) if held.status is Grads.UNKNOWN and not held.backwards else held


def step(
    walker: Walker,
    attempt: Attempt,
    node: ast.Call,
    optimizer: Optimizer,
    scaler: Scaler | None,
    *,
    args: tuple[Value, ...] = (),
    keywords: tuple[str, ...] = (),
) -> None:
    """Do `scaler.step(optimizer)`, or a plain `optimizer.step()`."""
    meet(attempt, optimizer)
    event = Stepped(**_at(attempt, node), optimizer=optimizer, scaler=scaler, args=args, keywords=keywords)
    _tell(walker, attempt, event)
    place = attempt.frame.place(node)
    attempt.note(f"step of {optimizer.label}" + (" through the scaler" if scaler else ""), node)
    if scaler is not None and scaler.enabled is not False:
        _blur(attempt, optimizer)
        protocol = attempt.state.protocol
        protocol = protocol.with_turn(scaler.key, optimizer.key, Turn.STEPPED, place)
        attempt.state.protocol = protocol.stepped(scaler.key, optimizer.key, place)
    # whoever does not clear gradients after a step has another problem than AMP: nothing is carried over
    used = attempt.state.protocol.grads(optimizer.key).status is not Grads.UNKNOWN
    by_scaler = place if used and scaler is not None and scaler.enabled is not False else None
    attempt.state.protocol = attempt.state.protocol.with_grads(optimizer.key, Held(stepped_at=by_scaler))
    _mark_stepped(attempt, place)
    attempt.state.cast = None
    scales = scaler is not None and scaler.enabled is not False
    attempt.state.round = _stepped_round(attempt, place, optimizer) if scales else None


def update(walker: Walker, attempt: Attempt, node: ast.Call, scaler: Scaler, value: Value | None) -> None:
    """Do `scaler.update()`."""
    _tell(walker, attempt, Updated(**_at(attempt, node), scaler=scaler, value=value))
    if scaler.enabled is not False:
        attempt.note("update of the scale", node)
        attempt.state.protocol = attempt.state.protocol.updated(scaler.key, attempt.frame.place(node))


def zero_grad(
    walker: Walker, attempt: Attempt, node: ast.Call, optimizer: Optimizer | None, of: frozenset[Key]
) -> None:
    """Do `optimizer.zero_grad()` or `model.zero_grad()`."""
    if optimizer is not None:
        meet(attempt, optimizer)
    _tell(walker, attempt, ZeroGrad(**_at(attempt, node), optimizer=optimizer, of=of))
    protocol = attempt.state.protocol
    place = attempt.frame.place(node)
    if optimizer is not None:
        protocol = protocol.with_grads(optimizer.key, _cleared(protocol.grads(optimizer.key), place))
        if len(protocol.optimizers()) == 1:
            protocol = replace(protocol, others=_cleared(protocol.others, place))
    else:
        owned = [key for key in protocol.optimizers() if attempt.state.known[key].owners & of]
        others = protocol.others if owned else _cleared(protocol.others, place)
        protocol = replace(protocol, others=others)
        for key in owned or protocol.optimizers():
            protocol = protocol.with_grads(key, _cleared(protocol.grads(key), place))
    attempt.state.protocol = protocol


def schedule(walker: Walker, attempt: Attempt, node: ast.Call, scheduler: Scheduler) -> None:
    """Do `scheduler.step()`."""
    loops = attempt.frame.open_loops
    through = attempt.frame.through
    _tell(walker, attempt, ScheduleStepped(**_at(attempt, node), scheduler=scheduler, loops=loops, through=through))


def read_grads(walker: Walker, attempt: Attempt, node: ast.Call, grads: Gradient) -> Value:
    """Make a number of gradients."""
    _tell(walker, attempt, GradsRead(**_at(attempt, node), grads=grads, through=attempt.frame.through))
    return fresh("call", node)


def edit_grads(
    walker: Walker, attempt: Attempt, node: ast.AST, grads: Gradient, how: str, *, linear: bool, factor: Value | None
) -> None:
    """Write gradients in place. Divided by something that may be the scale, they count as unscaled."""
    by_scale = linear and not isinstance(factor, Const)
    at = {"place": attempt.frame.place(node), "state": attempt.state.copy()}
    _tell(walker, attempt, GradsEdited(**at, grads=grads, how=how, linear=linear, by_scale=by_scale))  # type: ignore[arg-type]
    if by_scale or isinstance(factor, ScaleNumber):
        protocol = attempt.state.protocol
        attempt.state.protocol = protocol.with_grads(None, Held())


def lose(attempt: Attempt, scaler: Scaler) -> None:
    """Let a scaler do something with an optimizer that is not known: any of them may be the one."""
    attempt.state.protocol = attempt.state.protocol.forget(scaler.key, None)


def escape(attempt: Attempt, values: tuple[Value, ...]) -> None:
    """Give these values to code that is not in sight: what it does to a scaler or an optimizer is not known."""
    for value in values:
        if isinstance(value, Scaler):
            attempt.state.protocol = attempt.state.protocol.forget(value.key, None)
        elif isinstance(value, Optimizer):
            attempt.state.protocol = attempt.state.protocol.forget(None, value.key)


def _blur(attempt: Attempt, optimizer: Optimizer) -> None:
    """Let an element of some list be any of the optimizers that were made: their gradients may be the ones it has."""
    if optimizer.key[:1] not in _ANY:
        return
    known = attempt.state.known
    for key in attempt.state.protocol.optimizers():
        if key != optimizer.key and key in known and not known[key].assumed:
            attempt.state.protocol = attempt.state.protocol.with_grads(key, Held())


def _arrives(carries: Tensor | None, *, certain: bool, by: Framework | str | None) -> Grads:
    if by is not None:
        return Grads.UNKNOWN
    if carries is None:
        return Grads.PLAIN if certain else Grads.UNKNOWN
    return Grads.MIXED if carries.mixed or len(carries.scalers) > 1 else Grads.SCALED


def _mixed(old: Held, status: Grads, carries: Tensor | None, place: Place, *, alone: bool) -> Held:
    scaler = carries.scalers[-1] if carries else old.scaler
    sites = tuple(dict.fromkeys((*old.backwards, place)))[-_SITES:]
    if old.status in (Grads.CLEAN, Grads.UNKNOWN):
        sites = (place,)
    elif Grads.UNKNOWN in (old.status, status):
        status = Grads.UNKNOWN
    elif old.status is Grads.UNSCALED and not alone:
        return Held(old.status, old.scaler, sites, old.unscaled_at)  # may be another optimizer's loss
    elif old.status is not status or (alone and old.scaler != scaler):
        parts = {old.status: old.backwards[-1:], status: (place,)}
        plain = parts.get(Grads.PLAIN, ()) if Grads.SCALED in parts else ()
        return Held(Grads.MIXED, scaler, sites, plain_at=plain[0] if plain else old.plain_at)
    elif old.scaler != scaler:
        scaler = None  # each optimizer's own, perhaps
    return Held(status, scaler, sites, None)


def _cleared(held: Held, place: Place) -> Held:
    """Clear gradients; what was unscaled for a step and thrown away is remembered until the next backward."""
    return Held(Grads.CLEAN, cleared_at=place if held.status is Grads.UNSCALED else None)


def _stepped_round(attempt: Attempt, place: Place, optimizer: Optimizer) -> Round:
    """Return the turn of training that a step ends: what is open around the backward and around the step.

    A loop that takes another optimizer in each turn is inside of one turn of training.
    """
    own = attempt.frame.open_loops
    around = own if attempt.state.round is None else attempt.state.round.loops
    shared = [first for first, second in zip(own, around, strict=False) if first is second]
    if len(shared) > 1 and _speaks_of(optimizer.key, shared[-1]):
        shared.pop()
    return Round(tuple(shared), place)


def _speaks_of(key: object, loop: ast.AST) -> bool:
    return key is loop or (isinstance(key, tuple) and any(_speaks_of(part, loop) for part in key))


def _mark_stepped(attempt: Attempt, place: Place) -> None:
    """Casts that are cached in an open context are stale from here on."""
    attempt.state.contexts = tuple(
        replace(active, stepped_at=active.stepped_at or place, looped=_looped(attempt, active, "step"))
        if active.backwards
        else active
        for active in attempt.state.contexts
    )


def _mark_ran(attempt: Attempt, place: Place) -> None:
    if autocasting(attempt.state) is None:
        return
    attempt.state.contexts = tuple(
        active
        if place in active.backwards
        else replace(active, backwards=(*active.backwards, place), looped=_looped(attempt, active, "backward"))
        for active in attempt.state.contexts
    )


def _looped(
    attempt: Attempt, active: Active, what: Literal["backward", "step"]
) -> frozenset[Literal["backward", "step"]]:
    loops = len(attempt.frame.open_loops)
    return active.looped | {what} if loops > active.depth else active.looped


def _at(attempt: Attempt, node: ast.Call) -> Any:
    return {"place": attempt.frame.place(node), "state": attempt.state.copy(), "call": node}


def _tell(walker: Walker, attempt: Attempt, event: Event) -> None:
    walker.engine.emit(event, attempt.frame)
