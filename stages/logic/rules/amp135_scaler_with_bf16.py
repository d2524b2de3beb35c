"""AMP135: a gradient scaler is on while the loss is computed in bfloat16."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.casting import enabled_of, forward_of, is_ours, says_bf16
from stages.logic.constructors import scalers
from stages.logic.engine.events import Scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP135",
    name="scaler-with-bf16",
    severity=Severity.MEDIUM,
    summary="A gradient scaler is on while the loss is computed in bfloat16.",
    why=(
        "bfloat16 has the range of float32, so there is nothing to scale. The scaler costs a synchronisation in every"
        " step, and as nothing ever overflows it doubles its scale until it is 2**127 and skips steps at random."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")  # expect: AMP135
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import GradScaler, autocast

            def run(hps, model, loader, optimizer):
                scaler = GradScaler(enabled=hps.train.bf16_run)  # expect: AMP135
                for batch in loader:
                    with autocast(enabled=hps.train.bf16_run, dtype=torch.bfloat16):
                        loss = model(batch)
                    optimizer.zero_grad()
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
            ptdtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]
            scaler = torch.amp.GradScaler("cuda", enabled=(dtype == "bfloat16"))  # expect: AMP135
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, config):
                    self.half = torch.bfloat16 if config.format == "bfloat16" else torch.float16
                    self.scaler = torch.amp.GradScaler("cuda") if config.amp else None  # expect: AMP135

                def step(self, model, batch, optimizer):
                    with torch.autocast("cuda", dtype=self.half, enabled=self.scaler is not None):
                        loss = model(batch)
                    if self.scaler is not None:
                        self.scaler.scale(loss).backward()
                        self.scaler.step(optimizer)
                        self.scaler.update()
        """),
        Good("""
            import torch

            def train(config, model, loader, optimizer):
                ptdtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.dtype]
                scaler = torch.amp.GradScaler("cuda", enabled=(config.dtype == "float16"))
                for batch in loader:
                    with torch.autocast("cuda", dtype=ptdtype):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer):
                dtype = torch.bfloat16 if args.bf16 else torch.float16
                scaler = torch.amp.GradScaler("cuda", enabled=dtype is torch.float16)
                plain = torch.amp.GradScaler("cuda", enabled=not args.bf16)
                for batch in loader:
                    with torch.autocast("cuda", dtype=dtype):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                return plain
        """),
        Good("""
            import torch

            def train(use_fp16, model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda") if use_fp16 else None
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.float16 if use_fp16 else torch.bfloat16):
                        loss = model(batch)
                    if scaler is None:
                        loss.backward()
                        optimizer.step()
                    else:
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
        """),
    ),
)

_REMEDY = "Turn the scaler on for float16 only: `enabled=(dtype == torch.float16)`; bfloat16 needs none."


def check(event: Scaled) -> Iterator[Problem]:
    """Report a scaler that is on where the loss comes out of a bfloat16 context."""
    forward = forward_of(event.state)
    if forward is None or forward.context.dtype != "bfloat16" or not is_ours(event.scaler):
        return
    if event.scaler.enabled and event.scaler.at is not None and not says_bf16(enabled_of(event.scaler.site)):
        yield Problem(
            place=event.scaler.at,
            message="this GradScaler is on while the loss is computed in bfloat16",
            why="bfloat16 does not underflow where float16 does; the scale only grows until it overflows by itself.",
            remedy=_REMEDY,
            related=((forward.place, "autocast to bfloat16"), (event.place, "the loss is scaled")),
        )


def inspect(view: View) -> Iterator[Problem]:
    """Report a scaler that is on exactly where bfloat16 was chosen."""
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and scalers(view.origins(seen.node.func, seen.scope)):
            enabled = enabled_of(seen.node)
            if says_bf16(enabled):
                assert enabled is not None
                yield Problem(
                    place=view.place(seen.node),
                    message=f"the scaler is on where `{ast.unparse(enabled)}`, which is where no scaler is needed",
                    why="The condition is the wrong way round: bfloat16 is scaled, and float16, if used, is not.",
                    remedy=_REMEDY,
                )


CHECKS = {Scaled: check}
