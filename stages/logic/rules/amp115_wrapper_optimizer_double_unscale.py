"""AMP115: an optimizer is unscaled and its wrapper stepped, or the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.protocol import Turn
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key

RULE = RuleInfo(
    code="AMP115",
    name="wrapper-optimizer-double-unscale",
    severity=Severity.CRITICAL,
    summary="The scaler unscales an optimizer and steps its wrapper: it takes them for two.",
    why=(
        "The scaler keeps its records by the identity of the optimizer object. The wrapper has the same parameters but"
        " no record, so step() divides their gradients by the scale a second time."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            class Wrapper:
                def __init__(self, optimizer):
                    self.optimizer = optimizer
                    self.param_groups = optimizer.param_groups

                def step(self):
                    self.optimizer.step()

            def train(model, loader):
                opt = Wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    scaler.scale(model(x).mean()).backward()
                    scaler.unscale_(opt.optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(opt)  # expect: AMP115
                    scaler.update()
        """),
        Bad("""
            import torch

            def step(model, loss, opt, scaler):
                scaler.scale(loss).backward()
                scaler.unscale_(opt.base)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(opt)  # expect: AMP115
                scaler.update()
        """),
        Good("""
            import torch

            def step(model, loss, opt, scaler):
                scaler.scale(loss).backward()
                scaler.unscale_(opt)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(opt)
                scaler.update()
        """),
        Good("""
            import torch

            def step(model, loss, wrapper, scaler):
                scaler.scale(loss).backward()
                scaler.unscale_(wrapper.optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(wrapper.optimizer)
                scaler.update()
        """),
        Good("""
            import torch

            def step(model, loss, state, scaler):
                scaler.scale(loss).backward()
                scaler.unscale_(state.encoder_optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(state.encoder_optimizer)
                scaler.step(state.decoder_optimizer)
                scaler.update()
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report a step of an optimizer of which the wrapper, or what it wraps, is unscaled."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False:
        return
    protocol, key = event.state.protocol, event.optimizer.key
    if protocol.turn(scaler.key, key) is not Turn.READY:
        return
    for other, turn in protocol.turned(scaler.key).items():
        if turn is not Turn.UNSCALED or not (_wraps(event.state, key, other) or _wraps(event.state, other, key)):
            continue
        at = protocol.turned_at(scaler.key, other)
        known = event.state.known.get(other)
        yield Problem(
            place=event.place,
            message=f"{event.optimizer.label} shares its parameters with {known.label if known else 'an optimizer'},"
            " which is unscaled already",
            why="The scaler knows the two as different optimizers and divides the same gradients twice.",
            remedy="Give the scaler the same object everywhere: the wrapper in unscale_ and in step.",
            related=((at, "unscaled here"),) if at is not None else (),
            scaler=scaler,
        )


def _wraps(state: State, outer: Key, inner: Key) -> bool:
    """Say whether one object holds the other in an attribute."""
    if inner[:2] == ("attribute", outer):
        return True
    return any(base == outer and getattr(value, "key", None) == inner for (base, _), value in state.heap.items())


CHECKS = {Stepped: check, Unscaled: check}
