"""AMP123: the norm of gradients is taken while they still carry the loss scale."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.checkpoints import sounds_like_scaler
from stages.logic.engine.events import GradsRead
from stages.logic.gradients import divides_by_scale, scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.protocol import Held
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP123",
    name="scaled-grad-observed",
    severity=Severity.MEDIUM,
    summary="The norm of gradients is taken while they still carry the loss scale.",
    why=(
        "The number is up to 65536 times too large and jumps by two whenever the scale changes. A log is misleading;"
        " a threshold or an early stop that rests on it is wrong."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, writer):
                scaler = torch.amp.GradScaler("cuda")
                for step, batch in enumerate(loader):
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    total = 0.0
                    for p in model.parameters():
                        total += p.grad.norm().item() ** 2  # expect: AMP123
                    writer.add_scalar("grad_norm", total**0.5, step)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, scaler, writer):
                for step, batch in enumerate(loader):
                    scaler.scale(model(batch)).backward()
                    for name, p in model.named_parameters():
                        writer.add_histogram(name, p.grad, step)  # expect: AMP123
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import watching

            def train(model, loader, optimizer, scaler):
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    watching.show(model)  # expect: AMP123
                    scaler.step(optimizer)
                    scaler.update()
            # --- watching.py
            def show(model):
                for name, p in model.named_parameters():
                    print(name, p.grad.norm().item())
        """),
        Bad("""
            import torch
            import wandb

            def train(model, loader, optimizer):
                wandb.watch(model, log="all")  # expect: AMP123
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, img_scale):
                scaler = torch.amp.GradScaler("cuda")
                print(f"images at {img_scale}")
                for batch in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    for p in model.parameters():
                        print(p.grad.norm())  # expect: AMP123
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch
            import wandb

            def train(model, loader, optimizer, writer):
                wandb.watch(model, log="parameters")
                scaler = torch.amp.GradScaler("cuda")
                for step, batch in enumerate(loader):
                    optimizer.zero_grad()
                    scaler.scale(model(batch)).backward()
                    scaler.unscale_(optimizer)
                    norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
                    writer.add_scalar("grad_norm", torch.stack(norms).norm(), step)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def norm_of(model, scaler):
                total = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                return total / scaler.get_scale()

            def train(model, loader, optimizer, use_amp):
                scaler = torch.amp.GradScaler("cuda") if use_amp else None
                for batch in loader:
                    if scaler is not None:
                        scaler.scale(model(batch)).backward()
                        print(norm_of(model, scaler))
                        scaler.step(optimizer)
                        scaler.update()
                    else:
                        model(batch).backward()
                        print(torch.norm(torch.stack([p.grad.norm() for p in model.parameters()])))
                        optimizer.step()
        """),
    ),
)

_WHY = "The scale is in it, 65536 at the start of a run, and changes when the scaler backs off or grows."


def check(event: GradsRead) -> Iterator[Problem]:
    """Report a number that is made of gradients which surely carry a scale."""
    held = scaled(event.state, event.grads.of)
    if held is None or divides_by_scale(event.place):
        return
    place = _shown_at(event, held)
    helper = ((event.place, "the gradients are read here"),) if place is not event.place else ()
    yield Problem(
        place=place,
        message="this number is made of gradients that still carry the loss scale",
        why=_WHY,
        remedy="Take it after `scaler.unscale_(optimizer)`.",
        related=(*((site, "scaled backward") for site in held.backwards[-1:]), *helper),
    )


def _shown_at(event: GradsRead, held: Held) -> Place:
    """Return where the number is asked for: a helper of another file that reads gradients is right by itself."""
    training = {site.module for site in held.backwards[-1:]}
    if not training or event.place.module in training:
        return event.place
    return next((site for site in reversed(event.through) if site.module in training), event.place)


READS = Wanted(every=(b"watch", b"caler"))


def inspect(view: View) -> Iterator[Problem]:
    """Report wandb's own hooks on gradients, which run during backward, where the same file scales."""
    watching = [seen for seen in view.calls() if isinstance(seen.node, ast.Call) and _watches(seen.node)]
    if not watching or not any(_scales(seen.node) for seen in view.calls()):
        return
    for seen in watching:
        assert isinstance(seen.node, ast.Call)
        if "wandb.watch" in view.origins(seen.node.func, seen.scope):
            yield Problem(
                place=view.place(seen.node),
                message="wandb.watch logs gradients as backward leaves them, with the loss scale in them",
                why=_WHY,
                remedy='Watch with `log="parameters"`, and log the gradients yourself after `scaler.unscale_`.',
            )


def _watches(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute | ast.Name) or not ast.unparse(call.func).endswith("watch"):
        return False
    log = next((item.value for item in call.keywords if item.arg == "log"), None)
    log = call.args[2] if log is None and len(call.args) > 2 else log
    return log is None or (isinstance(log, ast.Constant) and log.value in ("gradients", "all"))


def _scales(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="scale", value=owner)):
            return sounds_like_scaler(owner)
    return False


CHECKS = {GradsRead: check}
