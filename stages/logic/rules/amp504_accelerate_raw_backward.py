"""AMP504: a loss is differentiated past the framework that prepared its optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Backward
from stages.logic.frameworks import scales
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP504",
    name="accelerate-raw-backward",
    severity=Severity.CRITICAL,
    summary="`loss.backward()` is called where the framework that prepared the optimizer must do it.",
    why=(
        "accelerate's and Fabric's own backward scale the loss; accelerate also divides it by the number of accumulated"
        " batches. A plain backward leaves gradients unscaled, and the prepared optimizer divides them by the scale:"
        " in float16 every update is up to 65536 times too small."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, criterion):
                accelerator = Accelerator(mixed_precision="fp16")
                optimizer = torch.optim.AdamW(model.parameters())
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for x, y in loader:
                    loss = criterion(model(x), y)
                    loss.backward()  # expect: AMP504
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, criterion):
                accelerator = Accelerator(mixed_precision="fp16")
                optimizer = torch.optim.AdamW(model.parameters())
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for x, y in loader:
                    with accelerator.accumulate(model):
                        loss = criterion(model(x), y)
                        accelerator.backward(loss)
                        optimizer.step()
                        optimizer.zero_grad()
        """),
        Good("""
            import torch
            from accelerate import Accelerator

            def probe(model, batch):
                accelerator = Accelerator()
                model = accelerator.prepare(model)
                loss = model(batch).sum()
                loss.backward()  # nothing prepared steps on these gradients
                return [p.grad for p in model.parameters()]
        """),
    ),
)


def check(event: Backward) -> Iterator[Problem]:
    """Report a plain backward where every optimizer in sight was prepared by a framework."""
    optimizers = [event.state.known[key] for key in event.state.protocol.optimizers()]
    if event.by is not None or event.carries is not None or not event.certain or not optimizers:
        return
    framework = optimizers[0].by
    if framework is None or not all(optimizer.prepared for optimizer in optimizers):
        return
    scaled = scales(framework)
    yield Problem(
        place=event.place,
        message=f"backward() is called on the loss itself, but {framework.label} prepared the optimizer",
        why=(
            "Gradients of an unscaled loss reach an optimizer that divides them by the loss scale."
            if scaled
            else "The framework's backward is left out, with its accumulation and, in float16, its loss scale."
        ),
        remedy=f"Call `{framework.label[:1].lower()}{framework.label[1:]}.backward(loss)`.",
        severity=Severity.CRITICAL if scaled else Severity.MEDIUM if scaled is False else Severity.HIGH,
    )


CHECKS = {Backward: check}
