"""AMP216: binary cross entropy of probabilities is computed under autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.contexts import autocasting
from stages.logic.engine.events import Called
from stages.logic.engine.values import Autocast, Model
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        remedy="Use `binary_cross_entropy_with_logits` or `BCEWithLogitsLoss` and leave out the sigmoid.",
        related=((active.place, "autocast is entered"),),
        suspicion=active.context.device == "cpu",
    )


def _is_bce(event: Called) -> bool:
    if isinstance(event.receiver, Model):
        return event.name == ".__call__" and event.receiver.label == "BCELoss"
    return event.name in _FUNCTIONS


CHECKS = {Called: check}
