"""AMP115: an optimizer is unscaled and its wrapper stepped, or the other way round."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.protocol import Turn
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key
    from stages.logic.view import View

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
        Bad("""
            import torch

            def step(model, loss, optimizers, scaler):
                scaler.scale(loss).backward()
                for opt in optimizers:
                    scaler.unscale_(opt)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for opt in optimizers:
                    scaler.step(opt.optimizer)  # expect: AMP115
                scaler.update()
        """),
        Good("""
            import torch

            def step(model, loss, wrappers, scaler):
                scaler.scale(loss).backward()
                for opt in wrappers:
                    opt = opt.optimizer
                    scaler.unscale_(opt)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for opt in wrappers:
                    scaler.step(opt.optimizer)
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


READS = Wanted(every=(b"unscale_", b"caler"))


def inspect(view: View) -> Iterator[Problem]:
    """Report loops over the same optimizers of which one unscales the elements and another steps what they wrap."""
    calls = [seen.node for seen in view.calls() if isinstance(seen.node, ast.Call)]
    unscaled = [(node, held) for node in calls if (held := _of_loop(view, node, "unscale_")) is not None]
    for node in calls if unscaled else ():
        stepped = _of_loop(view, node, "step")
        if stepped is None:
            continue
        for other, held in unscaled:
            if _one_wraps(held, stepped) and held[1:] == stepped[1:]:
                yield Problem(
                    place=view.place(node),
                    message=f"{stepped[0]} shares its parameters with {held[0]}, which is unscaled already",
                    why="The scaler knows the two as different optimizers and divides the same gradients twice.",
                    remedy="Give the scaler the same object everywhere: the wrapper in unscale_ and in step.",
                    related=((view.place(other), "unscaled here"),),
                )
                break


def _of_loop(view: View, node: ast.Call, method: str) -> tuple[str, str, str, ast.AST | None] | None:
    """Return what a scaler is given of the element of a loop: its text, the scaler's, the iterable's, the function."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name, value=owner), args=[given]) if name == method:
            if not vocabulary.called_like_scaler(last_name(owner)):
                return None
        case _:
            return None
    root: ast.expr = given
    while isinstance(root, ast.Attribute):
        root = root.value
    loop = view.parent(node)
    while loop is not None and not (isinstance(loop, ast.For) and _binds(loop, root)):
        loop = None if isinstance(loop, Function) else view.parent(loop)
    if loop is None or any(isinstance(inner, ast.Assign) and _sets(inner, root) for inner in ast.walk(loop)):
        return None
    assert isinstance(loop, ast.For)
    return ast.unparse(given), ast.unparse(owner), ast.unparse(loop.iter), _function(view, loop)


def _binds(loop: ast.For, name: ast.expr) -> bool:
    return isinstance(name, ast.Name) and any(
        isinstance(node, ast.Name) and node.id == name.id for node in ast.walk(loop.target)
    )


def _sets(node: ast.Assign, name: ast.expr) -> bool:
    return isinstance(name, ast.Name) and any(
        isinstance(target, ast.Name) and target.id == name.id for target in node.targets
    )


def _function(view: View, node: ast.AST) -> ast.AST | None:
    around = view.parent(node)
    while around is not None and not isinstance(around, Function):
        around = view.parent(around)
    return around


def _one_wraps(first: tuple[object, ...], second: tuple[object, ...]) -> bool:
    return any(
        f"{outer[0]}.{name}" == inner[0] for outer, inner in ((first, second), (second, first)) for name in _INNER
    )


_INNER = ("optimizer", "_optimizer", "base_optimizer", "inner_optimizer", "optim")
CHECKS = {Stepped: check, Unscaled: check}
