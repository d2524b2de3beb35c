"""AMP304: The logarithm of a probability that half precision rounds to 0."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.dtypes.sinks import logarithms
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Mark, Unit

RULE = RuleInfo(
    code="AMP304",
    name="unfused-log-activation",
    severity=Severity.HIGH,
    summary="The logarithm of a probability that half precision rounds to 0.",
    why=(
        "In float16 sigmoid(-18) is 0 and 1 - sigmoid(9) is 0; a softmax that runs in half gives 0 for everything"
        " unlikely. The logarithm of 0 is -inf, and the loss with it. `F.logsigmoid`, `F.log_softmax` and"
        " `torch.logsumexp` never form that number."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def generator_loss(disc, fake):
                with torch.autocast("cuda", dtype=torch.float16):
                    score = torch.sigmoid(fake @ disc)
                    real = torch.log(score).mean()  # expect: AMP304
                    return real + torch.log(1 - score).mean()  # expect: AMP304
        """),
        Bad("""
            import torch

            def entropy(logits):
                z = logits.half()
                return torch.log(torch.softmax(z, -1))  # expect: AMP304

            def doubtful(logits):
                return torch.log(1 - torch.sigmoid(logits.bfloat16()))  # expect: AMP304
        """),
        Bad("""
            # --- losses.py
            import torch

            def ranking(better, worse):
                return -torch.log(torch.sigmoid(better - worse)).mean()  # expect: AMP304

            # --- train.py
            import torch

            def step(net, loss_of, x, scaler=torch.amp.GradScaler("cuda")):
                with torch.autocast("cuda", dtype=torch.float16):
                    return scaler.scale(loss_of(net(x)))
        """),
        Good("""
            import torch
            import torch.nn.functional as F

            def losses(disc, fake):
                with torch.autocast("cuda", dtype=torch.float16):
                    score = fake @ disc
                    p = torch.sigmoid(score)
                    return (
                        F.logsigmoid(score),
                        torch.log(torch.softmax(score, -1)),
                        torch.log(torch.sigmoid(score.float())),
                        torch.log(p + 1e-4),
                        torch.log(p.clamp(min=1e-4)),
                    )

            def in_bfloat16(logits):
                return torch.log(torch.sigmoid(logits.bfloat16()))

            def in_float32(logits):
                return torch.log(torch.sigmoid(logits.float()))
        """),
    ),
)
SUSPECTS = "float16"
_INSTEAD: dict[Mark, tuple[str, str]] = {
    "sigmoid": ("sigmoid", "F.logsigmoid(z)"),
    "one-minus-sigmoid": ("1 - sigmoid", "F.logsigmoid(-z)"),
    "softmax": ("softmax", "F.log_softmax(z, dim)"),
}


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report logarithms of activations that were rounded to half before."""
    for call, node, known in logarithms(project, unit):
        if not known.low:
            continue
        for mark, (what, instead) in _INSTEAD.items():
            wide = mark == "sigmoid" and known.dtype != "float16"  # bfloat16 holds what is near 0
            if known.marked_at(mark) is None or wide or (mark == "softmax" and known.dtype != "float16"):
                continue
            yield Problem(
                place=Place(unit.module, call),
                message=f"`{ast.unparse(node)}` is a {what} in half precision, 0 where it is small: its log is -inf",
                remedy=f"Write `{instead}`, or compute the activation in float32.",
                related=because(unit, node),
            )
