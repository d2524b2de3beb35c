"""AMP114: unscale_ is called twice, or after the step, before the scaler is updated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.again import met_again
from stages.logic.engine.events import Unscaled
from stages.logic.flags import flags_disagree
from stages.logic.micro_steps import micro_steps
from stages.logic.problems import Problem
from stages.logic.split_steps import split_steps
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP114",
    name="double-unscale",
    severity=Severity.HIGH,
    summary="unscale_ is called a second time on an optimizer before the scaler is updated.",
    why="The scaler raises `RuntimeError: unscale_() has already been called on this optimizer`.",
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
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.backbone.parameters(), 1.0)
                    scaler.unscale_(optimizer)  # expect: AMP114
                    torch.nn.utils.clip_grad_norm_(model.head.parameters(), 0.1)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def grad_norm(self):
                    self.scaler.unscale_(self.optimizer)
                    return sum(p.grad.norm() for p in self.model.parameters())

                def clip(self):
                    self.scaler.unscale_(self.optimizer)  # expect: AMP114
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

                def step(self, x):
                    self.scaler.scale(self.model(x).mean()).backward()
                    print(self.grad_norm())
                    self.clip()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Bad("""
            import torch

            def step(model, loss, optimizer, scaler):
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.unscale_(optimizer)  # expect: AMP114
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.update()
        """),
        Bad("""
            from accelerate import Accelerator

            def train(model, optimizer, loader, steps):
                accelerator = Accelerator(mixed_precision="fp16", gradient_accumulation_steps=steps)
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for batch in loader:
                    with accelerator.accumulate(model):
                        accelerator.backward(model(**batch).loss)
                        accelerator.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP114
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Bad("""
            import torch

            class NativeScaler:
                def __init__(self):
                    self._scaler = torch.amp.GradScaler("cuda")

                def __call__(self, loss, optimizer, parameters, clip_grad=None, need_update=True):
                    self._scaler.scale(loss).backward()
                    if clip_grad is not None:
                        self._scaler.unscale_(optimizer)  # expect: AMP114
                        torch.nn.utils.clip_grad_norm_(parameters, clip_grad)
                    if need_update:
                        self._scaler.step(optimizer)
                        self._scaler.update()
        """),
        Bad("""
            import torch

            class AmpOptimizer:
                def __init__(self, optimizer, accumulate=1):
                    self.optimizer, self.accumulate = optimizer, accumulate
                    self.scaler = torch.amp.GradScaler("cuda")

                def backward(self, loss):
                    self.scaler.scale(loss / self.accumulate).backward()
                    self.scaler.unscale_(self.optimizer)  # expect: AMP114

                def step(self):
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            class NativeScaler:
                def __init__(self):
                    self._scaler = torch.amp.GradScaler("cuda")

                def __call__(self, loss, optimizer, parameters, clip_grad=None, need_update=True):
                    self._scaler.scale(loss).backward()
                    if need_update:
                        if clip_grad is not None:
                            self._scaler.unscale_(optimizer)
                            torch.nn.utils.clip_grad_norm_(parameters, clip_grad)
                        self._scaler.step(optimizer)
                        self._scaler.update()
        """),
        Good("""
            from accelerate import Accelerator

            def train(model, optimizer, loader, steps):
                accelerator = Accelerator(mixed_precision="fp16", gradient_accumulation_steps=steps)
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for batch in loader:
                    with accelerator.accumulate(model):
                        accelerator.backward(model(**batch).loss)
                        if accelerator.sync_gradients:
                            accelerator.clip_grad_norm_(model.parameters(), 1.0)
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            from accelerate import Accelerator

            def train(model, optimizer, loader, steps):
                accelerator = Accelerator(mixed_precision="bf16", gradient_accumulation_steps=steps)
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for batch in loader:
                    with accelerator.accumulate(model):
                        accelerator.backward(model(**batch).loss)
                        accelerator.clip_grad_norm_(model.parameters(), 1.0)
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion, log_every):
                scaler = torch.amp.GradScaler("cuda")
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, opt_a, opt_b, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    for optimizer in (opt_a, opt_b):
                        scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    for optimizer in (opt_a, opt_b):
                        scaler.step(optimizer)
                        optimizer.zero_grad()
                    scaler.update()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model, clip):
                    self.model, self.clip = model, clip
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x, watch=False):
                    self.scaler.scale(self.model(x).mean()).backward()
                    unscaled = False
                    if self.clip:
                        self.scaler.unscale_(self.optimizer)
                        unscaled = True
                        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
                    if watch:
                        if not unscaled:
                            self.scaler.unscale_(self.optimizer)
                        print(sum(p.grad.norm() for p in self.model.parameters()))
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
    ),
)


def check(event: Unscaled) -> Iterator[Problem]:
    """Report a second unscale_, or one after the step, with no backward in between."""
    found = met_again(event)
    if found is None or found.why != "twice":
        return
    scaler = event.scaler.label
    yield Problem(
        place=event.place,
        message=f"{scaler}.unscale_({event.optimizer.label}) is called again before {scaler}.update()",
        why="This call raises RuntimeError: the gradients are unscaled already.",
        remedy="Unscale once in each step, before the first thing that reads or clips gradients.",
        related=((found.first, "unscaled or stepped here first"),),
        scaler=event.scaler,
        suspicion=flags_disagree(event.state),
    )


READS = Wanted(some=(b"unscale_", b"accumulate"))


def inspect(view: View) -> Iterator[Problem]:
    """Report code that a caller who accumulates gradients makes unscale the same gradients twice."""
    for split in split_steps(view):
        yield Problem(
            place=view.place(split.call),
            message="unscale_ runs with every backward, the step only at times: a second backward before it raises",
            why="A caller that accumulates gradients unscales twice before the scaler is updated.",
            remedy="Unscale under the same condition as the step, right before it.",
            related=((view.place(split.waits), "the step depends on this"),),
            severity=None if split.accumulates else Severity.INFO,
            suspicion=True,
        )
    yield from _micro_steps(view)


def _micro_steps(view: View) -> Iterator[Problem]:
    for found in micro_steps(view):
        yield Problem(
            place=view.place(found.call),
            message="accelerate unscales here in every micro-batch of an accumulation",
            why="In float16 the second micro-batch raises: unscale_() has already been called on this optimizer.",
            remedy="Clip under `if accelerator.sync_gradients:`, when all gradients of the step are there.",
            related=((view.place(found.opened), "gradients are accumulated in this block"),),
            suspicion=not found.established,
        )


CHECKS = {Unscaled: check}
