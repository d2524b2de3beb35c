"""AMP142: one rank may leave out a backward that the others wait for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP142",
    name="rank-divergent-skip",
    severity=Severity.HIGH,
    summary="One rank may leave out a backward that the others wait for.",
    why=(
        "Gradients are exchanged during backward. A rank whose loss is not finite and which goes on to its next batch"
        " leaves the others waiting: the run hangs, or gradients of different batches are averaged. A loss that"
        " overflows in half precision does so on one rank only."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch.nn.parallel import DistributedDataParallel

            def train(model, loader, optimizer):
                model = DistributedDataParallel(model)
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    with torch.autocast("cuda"):
                        loss = model(batch)
                    if not torch.isfinite(loss):  # expect: AMP142
                        continue
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch
            import torch.distributed as dist
            from torch.nn.parallel import DistributedDataParallel

            def train(model, loader, optimizer):
                model = DistributedDataParallel(model)
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    with torch.autocast("cuda"):
                        loss = model(batch)
                    bad = (~torch.isfinite(loss)).float()
                    dist.all_reduce(bad)
                    if bad > 0:
                        continue
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import math
            import sys
            import torch
            from torch.nn.parallel import DistributedDataParallel

            def train(model, loader, optimizer):
                model = DistributedDataParallel(model)
                scaler = torch.amp.GradScaler("cuda")
                for batch in loader:
                    loss = model(batch)
                    if not math.isfinite(loss.item()):
                        sys.exit(1)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()

            def single(model, loader, optimizer):
                for batch in loader:
                    loss = model(batch)
                    loss.backward()
                    if torch.isnan(loss):
                        continue
                    optimizer.step()
        """),
    ),
)

_DISTRIBUTED = late(r"DistributedDataParallel|\bDDP\(|FullyShardedDataParallel|\bFSDP\(")
_AGREES = late(r"all_reduce|all_gather|reduce_dict|reduce_tensor|reduce_loss|broadcast|gather\(")
_NOT_FINITE = late(r"isnan|isinf|isfinite|is_nan")
_AMP = late(r"autocast|GradScaler|\bscaler\b")


READS = Wanted(every=(b"backward", b"continue", b"loss"))


def inspect(view: View) -> Iterator[Problem]:
    """Suspect a `continue` between forward and backward that hangs on one rank's own loss."""
    text = "\n".join(view.module.lines)
    if not (_DISTRIBUTED.search(text) and _AMP.search(text)) or _AGREES.search(text):
        return
    for loop in (node for node in ast.walk(view.module.tree) if isinstance(node, ast.For | ast.While)):
        for position, node in enumerate(loop.body):
            if isinstance(node, ast.If) and _skips(node) and any(_goes_backward(item) for item in loop.body[position:]):
                yield Problem(
                    place=view.place(node),
                    message="a rank whose loss is not finite skips its backward, which the other ranks wait for",
                    why="Nothing makes the ranks agree on the skip; whether it hangs depends on the wrapper.",
                    remedy="Let all ranks decide together: all-reduce the flag before the test.",
                    suspicion=True,
                )


def _skips(node: ast.If) -> bool:
    test = ast.unparse(node.test)
    return (
        _NOT_FINITE.search(test) is not None
        and "loss" in test
        and any(isinstance(item, ast.Continue) for item in node.body)
        and not any(_goes_backward(item) for item in node.body)
    )


def _goes_backward(node: ast.AST) -> bool:
    return any(isinstance(item, ast.Attribute) and item.attr == "backward" for item in ast.walk(node))
