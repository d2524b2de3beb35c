"""AMP138: autocast runs in float16 while the scaler is off, as they hang on different conditions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages.logic.casting import asks_device, enabled_of, forward_of, is_ours, may_be_float16, says_bf16, where_made
from stages.logic.engine.events import Scaled
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.casting import Forward

RULE = RuleInfo(
    code="AMP138",
    name="amp-flag-mismatch",
    severity=Severity.HIGH,
    summary="Autocast runs in float16 while the scaler is off, as they hang on different conditions.",
    why=(
        "With autocast on and the scaler off, small float16 gradients become zero and those weights do not learn."
        " Nothing is reported: the loss still falls, more slowly."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(args, model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda", enabled=args.amp)  # expect: AMP138
                for batch in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, config):
                    self.config = config
                    self.scaler = torch.cuda.amp.GradScaler(enabled=config.use_scaler)  # expect: AMP138

                def step(self, model, batch, optimizer):
                    with torch.cuda.amp.autocast(enabled=self.config.amp):
                        loss = model(batch)
                    self.scaler.scale(loss).backward()
                    self.scaler.step(optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer):
                use_amp = args.amp and not args.debug
                scaler = torch.amp.GradScaler("cuda", enabled=use_amp)
                for batch in loader:
                    with torch.autocast("cuda", enabled=use_amp):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer, dtype):
                scaler = torch.amp.GradScaler("cuda", enabled=(dtype == torch.float16))
                second = torch.amp.GradScaler("cuda", enabled=torch.cuda.is_available())
                for batch in loader:
                    with torch.autocast("cuda", dtype=dtype, enabled=args.amp):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                for batch in loader:
                    with torch.autocast("cuda"):
                        loss = model(batch)
                    second.scale(loss).backward()
                    second.step(optimizer)
                    second.update()
        """),
        Bad("""
            import torch

            def train(args, model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda", enabled=False)  # expect: AMP138
                for batch in loader:
                    with torch.autocast("cuda", enabled=args.amp):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            try:
                autocast = torch.cuda.amp.autocast
            except AttributeError:
                class autocast:  # for versions that have none
                    def __init__(self, enabled):
                        pass

                    def __enter__(self):
                        pass

                    def __exit__(self, *error):
                        pass

            def train(args, model, loader, optimizer):
                scaler = torch.cuda.amp.GradScaler(enabled=False)  # expect: AMP138
                for batch in loader:
                    with autocast(enabled=args.amp):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, device, amp):
                scaler = torch.amp.GradScaler("cuda", enabled=amp)  # expect: AMP138
                for batch in loader:
                    with torch.autocast(device.type):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer):
                if args.dtype == "fp16":
                    scaler = torch.amp.GradScaler("cuda")
                else:
                    scaler = torch.amp.GradScaler("cuda", enabled=False)
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16 if args.dtype == "bf16" else torch.float16):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            from functools import partial

            import torch

            def train(model, loader, optimizer, device, name):
                scaler = torch.amp.GradScaler(device, enabled=name == "float16")
                context = partial(torch.autocast, device_type=device, dtype=getattr(torch, name))
                for batch in loader:
                    with context():
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            from contextlib import nullcontext

            import torch

            def train(args, model, loader, optimizer):
                amp = args.amp
                scaler = torch.amp.GradScaler("cuda", enabled=args.amp)
                for batch in loader:
                    with torch.autocast("cuda", enabled=True) if amp else nullcontext():
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
    ),
)


def check(event: Scaled) -> Iterator[Problem]:
    """Report a scaler that is off on a path on which the loss comes out of a float16 context."""
    forward = forward_of(event.state)
    if event.scaler.enabled is not False or forward is None or not may_be_float16(forward):
        return
    off = enabled_of(event.scaler.site)
    if not is_ours(event.scaler) or event.scaler.at is None or off is None or asks_device(off) or says_bf16(off):
        return
    on = _chosen_by(forward) or enabled_of(forward.context.site)
    if not _is_always_off(event, off) if isinstance(off, ast.Constant) else _same(on, off):
        return
    yield Problem(
        place=where_made(event),
        message=_message(forward, on, off),
        why="Where only the scaler is off, float16 gradients below 6e-8 become zero without a word.",
        remedy="Use one flag for both: `enabled=use_amp` of the context and of the scaler.",
        related=((forward.place, "autocast to float16"), (event.place, "the loss is scaled, if the scaler is on")),
        suspicion=on is not None and not isinstance(on, ast.Constant) and not isinstance(off, ast.Constant),
    )


def _is_always_off(event: Scaled, off: ast.expr) -> bool:
    """Say whether the only scaler of a name is off whatever the flags say."""
    site, made = event.scaler.site, event.scaler.at
    if not isinstance(off, ast.Constant) or site is None or made is None:
        return False
    holder = made.module.scopes.parents.get(site)
    if not isinstance(holder, ast.Assign):
        return False
    names = [ast.unparse(target) for target in holder.targets]
    others = [
        node
        for node in ast.walk(made.module.tree)
        if isinstance(node, ast.Assign) and node is not holder and isinstance(node.value, ast.Call | ast.IfExp)
    ]
    return not any(ast.unparse(target) in names for node in others for target in node.targets)


def _chosen_by(forward: Forward) -> ast.expr | None:
    """Return the test of `with autocast(...) if flag else nullcontext():`, which is as good as `enabled=flag`."""
    item = forward.place.node
    expression = item.context_expr if isinstance(item, ast.withitem) else item
    chosen = isinstance(expression, ast.IfExp) and expression.body is forward.context.site
    return expression.test if chosen and isinstance(expression, ast.IfExp) else None


def _message(forward: Forward, on: ast.expr | None, off: ast.expr) -> str:
    context = "autocast is always on" if on is None else f"autocast is on where `{ast.unparse(on)}`"
    if isinstance(off, ast.Constant):
        return f"{context}, but this scaler never"
    return f"{context}, but this scaler only where `{ast.unparse(off)}`"


def _same(on: ast.expr | None, off: ast.expr) -> bool:
    """Say whether two conditions are one flag, however it is reached, or are too involved to compare."""
    if on is None or isinstance(on, ast.Constant):
        return False
    if isinstance(on, ast.Name | ast.Attribute) and isinstance(off, ast.Name | ast.Attribute):
        return last_name(on).strip("_") == last_name(off).strip("_")
    return True


CHECKS = {Scaled: check}
