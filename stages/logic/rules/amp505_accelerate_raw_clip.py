"""AMP505: gradients are clipped past the framework that scales them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Clipped
from stages.logic.engine.values import Const
from stages.logic.frameworks import scales
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = RuleInfo(
    code="AMP505",
    name="accelerate-raw-clip",
    severity=Severity.CRITICAL,
    summary="Gradients are clipped with torch's function where the framework that scales them must do it.",
    why=(
        "After `accelerator.backward(loss)` in float16 the gradients carry the loss scale until the prepared optimizer"
        " steps. torch's function does not know that: it cuts nearly all of every update away. accelerate's own"
        " `clip_grad_norm_` unscales first."
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
                    accelerator.backward(criterion(model(x), y))
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP505
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch

            def step(accelerator, model, optimizer, loss):
                accelerator.backward(loss)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP505
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
                    accelerator.backward(criterion(model(x), y))
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, criterion):
                accelerator = Accelerator(mixed_precision="bf16")  # nothing is scaled
                optimizer = torch.optim.AdamW(model.parameters())
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                for x, y in loader:
                    accelerator.backward(criterion(model(x), y))
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
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
                    accelerator.backward(criterion(model(x), y))
                    accelerator.unscale_gradients(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        """),
    ),
)


def check(event: Clipped) -> Iterator[Problem]:
    """Report torch's clipping after a framework's backward; who prepared the optimizer may be out of sight."""
    if event.by is not None or event.guessed or event.limit == Const(float("inf")):
        return
    state = event.state
    optimizers = [state.known[key] for key in state.protocol.optimizers()]
    prepared = [optimizer.prepared for optimizer in optimizers]
    held = [state.protocol.grads(optimizer.key) for optimizer in optimizers] or [state.protocol.others]
    framework = next((item.framework for item in held if item.framework_at is not None), None)
    scaled = scales(framework)
    if framework is None or scaled is False or (any(prepared) and not all(prepared)):
        return
    label = f"{framework.label[:1].lower()}{framework.label[1:]}"
    right = "clip_grad_norm_" if framework.name == "accelerate" else "clip_gradients"
    yield Problem(
        place=event.place,
        message=f"{event.how} clips gradients that {framework.label} may have scaled",
        why="In float16 they carry the loss scale here, up to 65536, so the threshold cuts almost everything away.",
        remedy=f"Call `{label}.{right}(...)`, which unscales first.",
        severity=Severity.CRITICAL if scaled else Severity.HIGH,
        suspicion=not all(prepared) or not prepared,
    )


CHECKS = {Clipped: check}
