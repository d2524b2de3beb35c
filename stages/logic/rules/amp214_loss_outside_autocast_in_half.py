"""AMP214: a loss is computed behind the autocast region, in half, of what the region returned."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import resolve_bindings
from stages._source.wanted import Wanted
from stages.logic.half_values import half_values, uses_after
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.half_values import HalfValue
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP214",
    name="loss-outside-autocast-in-half",
    severity=Severity.HIGH,
    summary="A loss is computed outside of autocast, in half, of what the model returned inside of it.",
    why=(
        "Inside of autocast losses are computed in fp32, whatever they get. Behind it they run in the type of their"
        " input: squares of a few hundred overflow float16, a mean over a batch loses its small terms, and the loss"
        " itself is rounded to 8 or 11 bits."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            import torch.nn.functional as F

            class Net(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = torch.nn.Linear(16, 16)
                    self.head = torch.nn.Linear(16, 1)

                def forward(self, x):
                    return self.head(self.body(x).relu())

            def train(loader, lr):
                net = Net()
                scaler = torch.amp.GradScaler("cuda")
                optimizer = torch.optim.SGD(net.parameters(), lr=lr)
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        out = net(x)
                    loss = F.mse_loss(out, y)  # expect: AMP214
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch import nn
            from torch.cuda.amp import autocast

            def train(loader, amp, lr):
                head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
                criterion = nn.CrossEntropyLoss()
                for x, y in loader:
                    with autocast(enabled=amp):
                        logits = head(x)
                    loss = criterion(logits, y)  # expect: AMP214
                    loss.backward()
        """),
        Bad("""
            import torch
            from torch import nn

            def train(model, loader):
                criterion = nn.MSELoss()
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        prediction = model(x)
                    loss = criterion(prediction, y)  # expect: AMP214
                    loss.backward()
        """),
        Good("""
            import torch
            import torch.nn.functional as F

            def train(loader, optimizer, lr):
                net = torch.nn.Linear(16, 1)
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        out = net(x)
                        inside = F.mse_loss(out, y)
                    outside = F.mse_loss(out.float(), y)
                    out = out.float()
                    again = F.mse_loss(out, y)
                    with torch.autocast("cuda", dtype=torch.float16):
                        scores = F.log_softmax(net(x), -1)
                        rest = net(x)
                    inside = inside + F.nll_loss(scores, y) + F.nll_loss(rest.float(), y)
                    (inside + outside + again).backward()
                    with torch.autocast("cuda", enabled=False):
                        out = net(x)
                    F.mse_loss(out, y).backward()
        """),
        Good("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, optimizer):
                accelerator = Accelerator(mixed_precision="fp16")
                model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
                criterion = torch.nn.MSELoss()
                for x, y in loader:
                    with torch.autocast("cuda"):
                        out = model(x)
                    accelerator.backward(criterion(out, y))
        """),
    ),
)
# nll_loss and kl_div take what log_softmax gives, which is fp32 already
_FUNCTION = late(
    r"torch\.nn\.functional\.(?:cross_entropy|mse_loss|l1_loss|smooth_l1_loss|huber_loss"
    r"|binary_cross_entropy_with_logits|cosine_embedding_loss)"
)
_CLASS = late(r"torch\.nn\.(?:CrossEntropy|MSE|L1|SmoothL1|Huber|BCEWithLogits|CosineEmbedding)Loss")


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report losses whose input is a half value of a region before; a model of unknown type makes a suspicion."""
    regions = Regions(view)
    if _may_widen(view):
        return
    for region in regions.all():
        for value in half_values(view, region, regions):
            for use in uses_after(view, value):
                call = view.parent(use)
                if not isinstance(call, ast.Call) or use not in call.args[:1] or regions.around(call) is not None:
                    continue
                if _is_loss(view, call.func, region.scope):
                    yield _problem(view, value, call)


def _problem(view: View, value: HalfValue, call: ast.Call) -> Problem:
    return Problem(
        place=view.place(call),
        message=f"this loss is computed in half: `{value.name}` comes from the autocast region that ended before it",
        why="Outside of autocast nothing casts it to fp32, so it overflows or rounds where it would not inside.",
        remedy=f"Move the loss into the `with` block, or pass `{value.name}.float()`.",
        related=((view.place(value.made), f"`{value.name}` is made under autocast"),),
        suspicion=not value.certain,
    )


def _is_loss(view: View, func: ast.expr, scope: Scope) -> bool:
    if any(_FUNCTION.fullmatch(name) for name in view.origins(func, scope)):
        return True
    bindings = resolve_bindings(view.project, func, scope)
    return bool(bindings) and all(
        isinstance(binding.value, ast.Call)
        and any(_CLASS.fullmatch(name) for name in view.origins(binding.value.func, binding.scope))
        for binding in bindings
    )


def _may_widen(view: View) -> bool:
    """Say whether a framework is at work, whose prepared models return fp32."""
    root = view.module.scopes.root
    imported = [
        binding.origin for bindings in root.bindings.values() for binding in bindings if binding.how == "import"
    ]
    return any(name.split(".")[0] in ("accelerate", "lightning", "pytorch_lightning") for name in imported)
