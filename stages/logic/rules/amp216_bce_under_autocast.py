"""AMP216: binary cross entropy of probabilities is computed under autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages.logic.engine.contexts import autocasting
from stages.logic.engine.events import Called
from stages.logic.engine.place import Place
from stages.logic.engine.values import Autocast, Model
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP216",
    name="bce-under-autocast",
    severity=Severity.CRITICAL,
    summary="Binary cross entropy of probabilities is computed under autocast.",
    why=(
        "On CUDA `binary_cross_entropy` and `BCELoss` raise under autocast, whatever type they get: a probability in"
        " half is rounded to 0 or 1 where its logit still says how sure the model is. On CPU nothing raises and the"
        " gradients overflow. `binary_cross_entropy_with_logits` takes the logits and is safe."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            import torch.nn.functional as F

            def train(model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = F.binary_cross_entropy(torch.sigmoid(model(x)), y)  # expect: AMP216
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch import nn
            from torch.cuda.amp import autocast

            class Trainer:
                def __init__(self, model, args):
                    self.model = model
                    self.amp = args.amp
                    self.criterion = nn.BCELoss()

                def loss(self, x, y):
                    return self.criterion(self.model(x), y)  # expect: AMP216

                def step(self, x, y):
                    with autocast(enabled=self.amp):
                        loss = self.loss(x, y)
                    loss.backward()
        """),
        Bad("""
            import torch
            from torch import nn
            from torch.cuda.amp import autocast

            def fit(model, loader, optimizer, scaler, labels, loss_fct=None):
                if loss_fct is None:
                    loss_fct = nn.BCELoss() if labels == 1 else nn.CrossEntropyLoss()
                for x, y in loader:
                    with autocast():
                        loss = loss_fct(model(x), y)  # expect: AMP216
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            # --- head.py
            import torch.nn.functional as F
            from torch import nn

            class Head(nn.Module):
                def costs(self, scores, targets):
                    return F.binary_cross_entropy(scores.sqrt(), targets, reduction="none")  # expect: AMP216

            # --- train.py
            import torch

            def step(model, x, scaler):
                with torch.autocast("cuda", dtype=torch.float16):
                    loss = model(x)
                scaler.scale(loss).backward()
        """),
        Good("""
            # --- head.py
            import torch
            import torch.nn.functional as F
            from torch import nn

            class Head(nn.Module):
                def costs(self, scores, targets):
                    with torch.autocast("cuda", enabled=False):
                        return F.binary_cross_entropy(scores.sqrt(), targets.float(), reduction="none")

            # --- alone.py
            import torch.nn.functional as F

            def train(net, x, y, optimizer):
                F.binary_cross_entropy(net(x), y).backward()
                optimizer.step()

            # --- train.py
            import torch

            def step(model, x, scaler):
                with torch.autocast("cuda", dtype=torch.float16):
                    loss = model(x)
                scaler.scale(loss).backward()
        """),
        Good("""
            import torch
            import torch.nn.functional as F

            def losses(model, x, y):
                with torch.autocast("cuda", dtype=torch.float16):
                    logits = model(x)
                    first = F.binary_cross_entropy_with_logits(logits, y)
                    with torch.autocast("cuda", enabled=False):
                        second = F.binary_cross_entropy(torch.sigmoid(logits.float()), y)
                third = F.binary_cross_entropy(torch.sigmoid(logits.float()), y)
                return first + second + third
        """),
        Good("""
            import torch
            from torch import nn

            def train(model, loader, optimizer, amp):
                criterion = nn.BCEWithLogitsLoss() if amp else nn.BCELoss()
                for x, y in loader:
                    with torch.autocast("cuda", enabled=amp):
                        out = model(x)
                        loss = criterion(out if amp else out.sigmoid(), y)
                    loss.backward()
                    optimizer.step()
        """),
    ),
)
_REMEDY = "Use `binary_cross_entropy_with_logits` or `BCEWithLogitsLoss` and leave out the sigmoid."
_PARTS = late(r"\.|[lL]oss|criterion|forward")  # a method, or a function that computes a loss
_FUNCTIONS = ("torch.nn.functional.binary_cross_entropy", "torch.binary_cross_entropy")


def check(event: Called) -> Iterator[Problem]:
    """Report the call where autocast is on; for the CPU, where it does not raise, as a suspicion."""
    if not _is_bce(event):
        return
    active = autocasting(event.state)
    if active is None or not isinstance(active.context, Autocast):
        return
    yield Problem(
        place=event.place,
        message="binary cross entropy of probabilities is computed under autocast",
        why="On CUDA it raises RuntimeError here: it is unsafe to autocast.",
        remedy=_REMEDY,
        related=((active.place, "autocast is entered"), *_made(event)),
        suspicion=active.context.device == "cpu",
    )


def _is_bce(event: Called) -> bool:
    if isinstance(event.receiver, Model):
        return event.name == ".__call__" and event.receiver.label == "BCELoss"
    return event.name in _FUNCTIONS


def _made(event: Called) -> tuple[tuple[Place, str], ...]:
    """Return where the criterion was made, if that is in the same file."""
    made = event.receiver.key[-1] if isinstance(event.receiver, Model) else None
    module = event.place.module
    if not isinstance(made, ast.Call) or made not in module.scopes.parents:
        return ()
    return ((Place(module, made), "the criterion is made"),)


def suspect(view: View) -> Iterator[Problem]:
    """Report it in code that others run: a loss of a model's own, or a step whose autocast a framework enters."""
    if view.mentions("autocast") or (_trains_itself(view) and not view.mentions("LightningModule")):
        return
    for seen in view.calls():
        call = seen.node
        assert isinstance(call, ast.Call)
        if last_name(call.func) not in ("binary_cross_entropy", "BCELoss"):
            continue
        names = view.origins(call.func, seen.scope)
        if (
            names & {*_FUNCTIONS, "torch.nn.BCELoss"}
            and _PARTS.search(seen.label)
            and "torch.nn.BCEWithLogitsLoss" not in names
        ):
            yield Problem(
                place=view.place(call),
                message="binary cross entropy of probabilities raises where a caller's autocast is on",
                remedy=_REMEDY,
            )


def _trains_itself(view: View) -> bool:
    """Say whether the file computes gradients itself, and so would have to enter autocast itself."""
    return any(
        isinstance(seen.node, ast.Call)
        and isinstance(seen.node.func, ast.Attribute)
        and seen.node.func.attr == "backward"
        and "accelerator" not in ast.unparse(seen.node.func.value)
        for seen in view.calls()
    )


CHECKS = {Called: check}
