"""AMP401: A model whose parameters are float16 is trained with a GradScaler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Stepped, Unscaled
from stages.logic.engine.precision import casts_of
from stages.logic.masters import trains_a_part
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


RULE = RuleInfo(
    code="AMP401",
    name="half-model-with-scaler",
    severity=Severity.HIGH,
    summary="A model whose parameters are float16 is trained with a GradScaler.",
    why=(
        "The scaler refuses to unscale float16 gradients: `ValueError: Attempting to unscale FP16 gradients.` at"
        " the first step. Autocast needs no half parameters: it casts what its operations use."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(loader, criterion):
                model = torch.nn.Linear(8, 8).cuda().half()  # expect: AMP401
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda"):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from transformers import AutoModelForCausalLM

            def train(name, loader):
                model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.float16)  # expect: AMP401
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scaler = torch.cuda.amp.GradScaler()
                for batch in loader:
                    loss = model(**batch).loss
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import copy
            import torch

            def train(loader, teacher, criterion):
                model = torch.nn.Linear(8, 8).cuda()
                teacher = teacher.half()
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    with torch.autocast("cuda"):
                        loss = criterion(model(x), teacher(x.half()))
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
                torch.save(copy.deepcopy(model).half().state_dict(), "model.pt")
        """),
        Good("""
            import torch

            def train(net, loader):
                net = net.half()
                net.float()
                optimizer = torch.optim.AdamW(net.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x in loader:
                    scaler.scale(net(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()

            def evaluate(net, loader):
                net = net.half().eval()
                return [net(x.half()) for x in loader]
        """),
    ),
)


def check(event: Stepped | Unscaled) -> Iterator[Problem]:
    """Report what unscales the gradients of parameters that were cast to float16 before the optimizer was made."""
    if event.scaler is None or event.scaler.enabled is False or event.optimizer.fused:
        return
    for cast in casts_of(event.state, event.optimizer):
        if cast.dtype == "float16" and not cast.late:
            yield Problem(
                place=cast.place,
                message=f"{event.optimizer.label} gets float16 parameters, which the scaler refuses to unscale",
                remedy="Keep the parameters in float32 and let autocast cast: drop the cast or the `torch_dtype`.",
                related=((event.place, "the scaler meets their gradients"),),
                scaler=event.scaler,
                suspicion=trains_a_part(cast.place.module) or trains_a_part(event.place.module),
            )
            return


CHECKS = {Stepped: check, Unscaled: check}
