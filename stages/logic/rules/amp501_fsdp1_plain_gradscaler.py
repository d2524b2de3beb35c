"""AMP501: a plain GradScaler scales the loss of a model whose parameters FSDP has sharded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.engine.events import Stepped
from stages.logic.engine.values import Model
from stages.logic.problems import Problem
from stages.logic.sharding import scalers_beside_sharding
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP501",
    name="fsdp1-plain-gradscaler",
    severity=Severity.CRITICAL,
    summary="A plain GradScaler is used with a model that FullyShardedDataParallel has sharded.",
    why=(
        "Each rank sees the gradients of its own shard only. One rank finds an overflow, skips its step and halves its"
        " scale, the others step: the shards of one model drift apart, silently. `ShardedGradScaler` asks all ranks."
        " FSDP2 (`fully_shard`) shards into DTensors, with which the plain scaler is right."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            def train(model, loader, criterion):
                model = FSDP(model)
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")  # expect: AMP501
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

            def train(model, loader, criterion, args):
                model = FSDP(model) if args.shard else torch.nn.parallel.DistributedDataParallel(model)
                named = list(model.named_parameters())
                plain = [p for n, p in named if p.ndim < 2]
                decayed = [p for n, p in named if p.ndim >= 2]
                groups = [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": args.decay}]
                optimizer = torch.optim.AdamW(groups, lr=1e-3)
                scaler = torch.amp.GradScaler("cuda") if args.amp else None  # expect: AMP501
                for x, y in loader:
                    loss = criterion(model(x), y)
                    if scaler is None:
                        loss.backward()
                        optimizer.step()
                        continue
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
            from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

            def train(model, loader, criterion):
                model = FSDP(model)
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = ShardedGradScaler()
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
            from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

            def train(args, model, loader, criterion):
                if args.fsdp:
                    model = FSDP(model)
                scaler = ShardedGradScaler() if args.fsdp else torch.amp.GradScaler("cuda")
                optimizer = torch.optim.AdamW(model.parameters())
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
            from torch.distributed.fsdp import ShardingStrategy

            def train(model, loader, criterion):
                model = FSDP(model, sharding_strategy=ShardingStrategy.NO_SHARD)  # every rank has all gradients
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Good("""
            import torch
            from torch.distributed.fsdp import fully_shard

            def train(model, loader, criterion):
                fully_shard(model)
                optimizer = torch.optim.AdamW(model.parameters())
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
    ),
)


def check(event: Stepped) -> Iterator[Problem]:
    """Report a plain, enabled scaler that steps an optimizer of a sharded model."""
    scaler = event.scaler
    if scaler is None or scaler.assumed or scaler.enabled is False or scaler.kind != "plain":
        return
    if any(model.key in event.optimizer.owners for model in sharded(event.state)):
        yield Problem(
            place=scaler.at or event.place,
            message=f"{scaler.label} is a plain one, but {event.optimizer.label} has the parameters of an FSDP model",
            why="Ranks decide on their own whether to skip a step, and their parts of the model drift apart.",
            remedy="Make the scaler with `torch.distributed.fsdp.sharded_grad_scaler.ShardedGradScaler()`.",
            related=((event.place, "it steps here"),),
        )


def sharded(state: State) -> Iterator[Model]:
    """Yield the models on this path that FSDP wraps."""
    for value in (*state.env.values(), *state.heap.values()):
        if isinstance(value, Model) and value.wrapper == "fsdp":
            yield value


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a plain scaler that is made where a model is sharded too, on paths that cannot be told apart."""
    for scaler, shards in scalers_beside_sharding(view):
        yield Problem(
            place=view.place(scaler.node),
            message="a plain GradScaler is made by code that may shard the model with FSDP",
            why="Where the model is sharded, ranks find overflows by themselves, and their shards drift apart.",
            remedy="Make a `ShardedGradScaler` where the model is sharded.",
            related=((view.place(shards.node), "the model is sharded here"),),
            suspicion=True,
        )


CHECKS = {Stepped: check}
