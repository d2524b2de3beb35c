"""AMP502: torch's clipping is used on a model whose parameters FSDP has sharded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.engine.events import Clipped
from stages.logic.engine.values import Model
from stages.logic.problems import Problem
from stages.logic.sharding import clips_of_sharded_attributes
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP502",
    name="fsdp1-util-clip",
    severity=Severity.HIGH,
    summary="Gradients of a model that FullyShardedDataParallel has sharded are clipped by each rank for itself.",
    why=(
        "`torch.nn.utils.clip_grad_norm_` sees the local shard only, so each rank computes another norm and scales its"
        " part of the gradient by another factor. The model's own `clip_grad_norm_` computes the norm over all ranks."
        " With FSDP2 (`fully_shard`) torch's function is right."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            def train(model, loader, criterion):
                model = FSDP(model)
                optimizer = torch.optim.AdamW(model.parameters())
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP502
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            class Trainer:
                def shard(self):
                    self.policy = FSDP(self.policy)

                def clip_gradient(self):
                    return torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)  # expect: AMP502

                def step(self, loss):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        pass
                    loss.backward()
                    self.clip_gradient()
                    self.optimizer.step()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            def train(model, loader, criterion):
                model = FSDP(model)
                optimizer = torch.optim.AdamW(model.parameters())
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    model.clip_grad_norm_(1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            def train(args, model, loader, criterion):
                if args.fsdp:
                    model = FSDP(model)
                optimizer = torch.optim.AdamW(model.parameters())
                for x, y in loader:
                    criterion(model(x), y).backward()
                    if args.fsdp:
                        model.clip_grad_norm_(1.0)
                    else:
                        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        """),
    ),
)


def check(event: Clipped) -> Iterator[Problem]:
    """Report torch's norm clipping of parameters that an FSDP wrapper on this path holds."""
    if event.by is not None or event.guessed or "norm" not in event.how:
        return
    for value in (*event.state.env.values(), *event.state.heap.values()):
        if isinstance(value, Model) and value.wrapper == "fsdp" and value.key in event.params.of:
            yield Problem(
                place=event.place,
                message=f"{event.how} clips the gradients of an FSDP model by each rank's own norm",
                why="Every rank multiplies its shard by another factor.",
                remedy="Call `model.clip_grad_norm_(max_norm)` of the FSDP wrapper.",
            )
            return


READS = Wanted(every=(b"clip_grad",))


def inspect(view: View) -> Iterator[Problem]:
    """Report clipping of an attribute that another method of the class may have sharded."""
    for call, shards in clips_of_sharded_attributes(view):
        yield Problem(
            place=view.place(call),
            message="clip_grad_norm_ of a model that this class may have sharded sees the local shard only",
            why="Each rank computes another norm and scales its part of the gradient by another factor.",
            remedy="Call the model's own `clip_grad_norm_(max_norm)` where it is sharded.",
            related=((view.place(shards), "the model is sharded here"),),
            suspicion=True,
        )


CHECKS = {Clipped: check}
