"""AMP107: a loss that carries the scale already is scaled once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward, Scaled
from stages.logic.engine.place import Place
from stages.logic.engine.values import Framework, Tensor
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages.logic.engine.events import Event

RULE = RuleInfo(
    code="AMP107",
    name="double-loss-scale",
    severity=Severity.CRITICAL,
    summary="A loss that is scaled already is scaled once more.",
    why=(
        "The gradients carry the scale twice and the scaler divides once: they overflow until the scale has collapsed,"
        " and every update is too large by the scale. Adam hides it."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    loss = scaler.scale(loss)
                    scaler.scale(loss).backward()  # expect: AMP107
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            scaler = torch.amp.GradScaler("cuda")

            def backward(loss):
                scaler.scale(loss).backward()  # expect: AMP107

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = scaler.scale(criterion(model(x), y))
                    backward(loss)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, optimizer):
                accelerator = Accelerator(mixed_precision="fp16")
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    loss = model(x).mean()
                    accelerator.backward(scaler.scale(loss))  # expect: AMP107
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaled = scaler.scale(loss)
                    scaled.backward()
                    loss = scaled / scaler.get_scale()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        first, second = criterion(model(x), y), model.extra(x).mean()
                    scaler.scale(first).backward(retain_graph=True)
                    scaler.scale(second).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check_scale(event: Scaled) -> Iterator[Problem]:
    """Report `scale` of what carries a scale."""
    if event.scaler.enabled is False or not isinstance(event.value, Tensor):
        return
    label = event.scaler.label
    yield Problem(
        place=event.place,
        message=f"{label}.scale() is applied to a loss that is scaled already",
        why="The gradients carry the scale twice, and unscaling divides by it once.",
        remedy="Scale the loss once, where backward is called.",
        related=_first(event, event.value.site),
        scaler=event.scaler,
    )


def check_backward(event: Backward) -> Iterator[Problem]:
    """Report a scaled loss that is handed to a framework, whose backward scales by itself."""
    if event.by is None or event.carries is None:
        return
    known = isinstance(event.by, Framework) and event.by.precision in ("fp16", "16-mixed", "16")
    yield Problem(
        place=event.place,
        message="A scaled loss is given to a framework's backward, which scales it once more",
        why="The framework has a scaler of its own in float16 precision: the gradients carry two scales.",
        remedy="Pass the loss as it is, and leave the scaler to the framework.",
        related=_first(event, event.carries.site),
        suspicion=not known,
    )


def _first(event: Event, site: ast.AST | None) -> tuple[tuple[Place, str], ...]:
    known = site is not None and site in event.place.module.scopes.parents
    return ((Place(event.place.module, site), "scaled here"),) if known and site is not None else ()


CHECKS = {Scaled: check_scale, Backward: check_backward}
