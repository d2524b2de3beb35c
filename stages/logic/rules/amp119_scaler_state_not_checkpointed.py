"""AMP119: a checkpoint keeps the optimizer's state but not the scaler's."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import lineage
from stages._source.testfiles import is_test_file
from stages._source.wanted import Wanted
from stages.logic.checkpoints import (
    bases_that_keep,
    helpers_that_keep,
    kept_optimizers,
    speaks_of_scaler_state,
)
from stages.logic.hook_scalers import lent_to_nobody
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP119",
    name="scaler-state-not-checkpointed",
    severity=Severity.MEDIUM,
    summary="A checkpoint keeps the optimizer's state but not the scaler's.",
    why=(
        "A resumed run starts with the initial scale again. Where training had backed off from it, the first steps"
        " overflow one after the other and are skipped, although the optimizer and the schedule go on as if they were"
        " taken."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, path):
                scaler = torch.amp.GradScaler("cuda")
                for epoch in range(10):
                    for batch in loader:
                        with torch.autocast("cuda"):
                            loss = model(batch)
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
                    checkpoint = {
                        "epoch": epoch,
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),  # expect: AMP119
                    }
                    torch.save(checkpoint, path)
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model, amp):
                    self.model = model
                    self.optimizer = torch.optim.Adam(model.parameters())
                    self.scaler = torch.cuda.amp.GradScaler(enabled=amp)

                def step(self, loss):
                    self.scaler.scale(loss).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()

                def save(self, path, full=True):
                    state = {"model": self.model.state_dict()}
                    if full:
                        state["optimizer"] = self.optimizer.state_dict()  # expect: AMP119
                    torch.save(state, path)
        """),
        Bad("""
            # --- train.py
            import torch
            import utils

            def run(hps, net, loader):
                optim = torch.optim.AdamW(net.parameters())
                scaler = torch.amp.GradScaler("cuda", enabled=hps.fp16)  # expect: AMP119
                for epoch in range(hps.epochs):
                    train(net, optim, scaler, loader)
                    utils.save_checkpoint(net, optim, epoch, "net.pt")

            def train(net, optim, scaler, loader):
                for batch in loader:
                    scaler.scale(net(batch)).backward()
                    scaler.step(optim)
                    scaler.update()
            # --- utils.py
            import torch

            def save_checkpoint(model, optimizer, epoch, path):
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, path)
        """),
        Bad("""
            import torch

            class OptimizerHook:
                def __init__(self):
                    self.scaler = torch.amp.GradScaler("cuda")  # expect: AMP119

                def after_iteration(self, runner):
                    self.scaler.scale(runner.loss).backward()
                    self.scaler.step(runner.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            class OptimizerHook:
                def __init__(self):
                    self.scaler = torch.amp.GradScaler("cuda")

                def after_iteration(self, runner):
                    self.scaler.scale(runner.loss).backward()
                    self.scaler.step(runner.optimizer)
                    self.scaler.update()
                    runner.kept["scaler"] = self.scaler.state_dict()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, path, amp):
                scaler = torch.amp.GradScaler("cuda") if amp else None
                for epoch in range(10):
                    for batch in loader:
                        loss = model(batch)
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
                    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                    if scaler is not None:
                        checkpoint["scaler"] = scaler.state_dict()
                    torch.save(checkpoint, path)
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, path):
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    scaler.scale(model(batch)).backward()
                    scaler.step(optimizer)
                    scaler.update()
                torch.save(model.state_dict(), path)
                torch.save({"model": model.state_dict(), "args": {}}, path)
        """),
        Good("""
            # --- train.py
            import torch
            from utils import save_on_main

            class Probe:
                def __init__(self, optimizer):
                    self.before = optimizer.state_dict()

            def run(args, net, optimizer, loader):
                scaler = torch.amp.GradScaler("cuda")
                off = torch.amp.GradScaler("cuda", enabled=False)
                for batch in loader:
                    scaler.scale(net(batch)).backward()
                    scaler.step(optimizer)
                    scaler.update()
                save_on_main(net, optimizer, loss_scaler=scaler, path=args.path)
            # --- utils.py
            import torch

            def save_on_main(model, optimizer, loss_scaler, path):
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                state["loss_scaler"] = loss_scaler.state_dict()
                torch.save(state, path)
        """),
        Good("""
            import torch

            class Plain:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

                def save(self, path):
                    torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}, path)

            class Scaled:
                def __init__(self, model):
                    self.model = model
                    self.scaler = torch.amp.GradScaler("cuda")

                def save(self, path):
                    torch.save(self.model.state_dict(), path)
        """),
    ),
)

_WRAPPERS = ("NativeScaler", "NativeScalerWithGradNormCount", "ApexScaler")


@dataclass(frozen=True, slots=True)
class _Made:
    """A scaler that the file makes, in which class if in one, and what it is bound to."""

    node: ast.Call
    scope: Scope
    cls: Scope | None
    name: str


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a file that makes a scaler and keeps its optimizer's state without the scaler's."""
    made = [] if is_test_file(view.module.path) else list(_made(view))
    if not made:
        return
    names = frozenset(item.name for item in made if item.name)
    found: set[ast.AST] = set()
    for seen in kept_optimizers(view):
        scaler = _beside(view, seen.scope, made)
        if scaler is not None and not speaks_of_scaler_state(view.module.tree, names) and scaler.node not in found:
            found.add(scaler.node)
            yield _problem(view, seen.node, scaler, "the optimizer's state is kept here, the scaler's nowhere")
    yield from _through_others(view, made, names, found)
    for scaler in made:
        step = lent_to_nobody(view, scaler.cls, scaler.name) if scaler.cls is not None and scaler.name else None
        if step is not None and not found:
            found.add(scaler.node)
            yield _lost(view, scaler, step)


def _lost(view: View, scaler: _Made, step: ast.Call) -> Problem:
    return Problem(
        place=view.place(scaler.node),
        message="whoever keeps the optimizer's state gets none of this scaler's, so a resumed run starts anew",
        why="The optimizer comes from elsewhere and is kept there; the scaler is made and used here only.",
        remedy=f"Give out and load `self.{scaler.name}.state_dict()`, or keep it in the checkpoint of the run.",
        related=((view.place(step), "steps an optimizer that was given"),),
        severity=Severity.INFO,
        suspicion=True,
    )


def _through_others(view: View, made: list[_Made], names: frozenset[str], found: set[ast.AST]) -> Iterator[Problem]:
    """Report scalers whose optimizer is kept by a function or a base class elsewhere."""
    for seen, helper in helpers_that_keep(view):
        scaler = _beside(view, seen.scope, made)
        if scaler is None or scaler.node in found or speaks_of_scaler_state(helper.node):
            continue
        if not speaks_of_scaler_state(view.module.tree, names):
            found.add(scaler.node)
            yield _problem(view, scaler.node, scaler, "its state is never kept, though its optimizer's is", seen.node)
    for scaler in made:
        told = any(other.node in found for other in made if other.cls is scaler.cls)
        if scaler.cls is None or told or not bases_that_keep(view, scaler.cls):
            continue
        classes = lineage(view.project, scaler.cls)
        if not any(speaks_of_scaler_state(tree, names) for tree in (view.module.tree, *(cls.node for cls in classes))):
            found.add(scaler.node)
            yield _problem(view, scaler.node, scaler, "its state is never kept, though its optimizer's is")


def _problem(view: View, node: ast.AST, scaler: _Made, what: str, kept_by: ast.AST | None = None) -> Problem:
    other = scaler.node if node is not scaler.node else kept_by
    label = "the scaler is made" if node is not scaler.node else "the optimizer is kept"
    name = scaler.name or "scaler"
    return Problem(
        place=view.place(node),
        message=f"{what}: a resumed run starts at the initial scale",
        why="Steps overflow and are skipped until the scale has come down again, each time the run is resumed.",
        remedy=f'Keep `"scaler": {name}.state_dict()` beside the optimizer, and load it when resuming.',
        related=() if other is None else ((view.place(other), label),),
    )


def _made(view: View) -> Iterator[_Made]:
    for seen in view.calls():
        node = seen.node
        assert isinstance(node, ast.Call)
        origins = view.origins(node.func, seen.scope)
        if not vocabulary.names_scaler(origins) and last_name(node.func) not in _WRAPPERS:
            continue
        if any(item.arg == "enabled" and isinstance(item.value, ast.Constant) for item in node.keywords):
            continue
        yield _Made(node, seen.scope, _class_of(seen.scope), _bound_to(view, node))


def _class_of(scope: Scope) -> Scope | None:
    around: Scope | None = scope
    while around is not None and not isinstance(around.node, ast.ClassDef):
        around = around.parent
    return around


def _bound_to(view: View, node: ast.AST) -> str:
    parent = view.parent(node)
    while isinstance(parent, ast.IfExp):
        parent = view.parent(parent)
    match parent:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]) | ast.AnnAssign(target=target):
            return last_name(target)
    return ""


def _beside(view: View, scope: Scope, made: list[_Made]) -> _Made | None:
    """Return a scaler that the code around a place can know: of its class or a base, or of the file's functions."""
    cls = _class_of(scope)
    if cls is not None:
        own = lineage(view.project, cls)
        return next((item for item in made if item.cls in own), None)
    return next((item for item in made if item.cls is None and _knows(scope, item)), None)


def _knows(scope: Scope, made: _Made) -> bool:
    """Say whether a function works with a scaler: makes it, names it, or is used by the function that makes it."""
    here, there = _outermost(scope), _outermost(made.scope)
    if here is there or isinstance(there, ast.Module) or isinstance(here, ast.Module):
        return True
    if any(isinstance(node, ast.Name | ast.arg) and _name(node) == made.name for node in ast.walk(here)):
        return True
    called = getattr(here, "name", "")
    return any(isinstance(node, ast.Name) and node.id == called for node in ast.walk(there))


def _outermost(scope: Scope) -> ast.AST:
    while scope.parent is not None and scope.parent.parent is not None:
        scope = scope.parent
    return scope.node


def _name(node: ast.Name | ast.arg) -> str:
    return node.id if isinstance(node, ast.Name) else node.arg
