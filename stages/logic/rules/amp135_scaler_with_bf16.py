"""AMP135: a gradient scaler is on while the loss is computed in bfloat16."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.casting import conditions, enabled_of, forward_of, is_ours, says_bf16, where_made
from stages.logic.constructors import scalers
from stages.logic.engine.events import Scaled
from stages.logic.not_float32 import only_float32_excluded
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.casting import Forward
    from stages.logic.engine.place import Place
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
        Bad("""
            import torch

            class Engine:
                def __init__(self, amp, use_bfloat16):
                    self.amp = amp
                    self.amp_dtype = torch.bfloat16 if use_bfloat16 else torch.float16
                    self.scaler = None if not amp else torch.amp.GradScaler("cuda")  # expect: AMP135

                def forward(self, batch):
                    with torch.autocast("cuda", enabled=self.amp, dtype=self.amp_dtype):
                        return self.model(batch)

                def backward(self, loss):
                    self.scaler.scale(loss).backward()

            def build(state):
                if state.mixed_precision == "fp16":
                    return torch.amp.GradScaler("cuda")
                elif state.mixed_precision == "bf16":
                    return torch.amp.GradScaler("cuda")  # expect: AMP135
        """),
        Bad("""
            import torch

            class Trainer:
                def make_scaler(self):
                    if self.config.dtype == "float32":
                        return None
                    return torch.amp.GradScaler("cuda")  # expect: AMP135
        """),
        Good("""
            import torch

            class Trainer:
                def make_scaler(self):
                    if self.config.dtype != "float16":
                        return None
                    return torch.amp.GradScaler("cuda")
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

            def train(net, loader, optimizer, device, amp):
                scaler = torch.cuda.amp.GradScaler(enabled=amp)
                for batch in loader:
                    with torch.autocast(device.type if device.type != "mps" else "cpu", enabled=amp):
                        loss = net(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(config, model, loader, optimizer):
                dtype = torch.bfloat16 if config.bf16 else torch.float16
                scaler = torch.amp.GradScaler("cuda", enabled=config.fp16)
                for batch in loader:
                    with torch.autocast("cuda", dtype=dtype, enabled=config.fp16 or config.bf16):
                        loss = model(batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
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

_DTYPE = late(r"dtype|bf16|bfloat16|fp16|float16|half|precision|scaler|cuda", re.I)
_FP16 = late(r"fp16|float16|half", re.I)
_REMEDY = "Turn the scaler on for float16 only: `enabled=(dtype == torch.float16)`; bfloat16 needs none."


def check(event: Scaled) -> Iterator[Problem]:
    """Report a scaler that is on where the loss comes out of a bfloat16 context."""
    forward = forward_of(event.state)
    if forward is None or forward.context.dtype != "bfloat16" or not is_ours(event.scaler):
        return
    if forward.context.device == "cpu" and event.scaler.device == "cuda":
        return  # where there is no CUDA this scaler is off, which is AMP139's
    made = event.scaler.at
    if not event.scaler.enabled or made is None or _asks_for_fp16(made, forward):
        return
    if not any(says_bf16(test) for test in conditions(made.module, made.node)):
        yield Problem(
            place=where_made(event),
            message="this GradScaler is on while the loss is computed in bfloat16",
            why="bfloat16 does not underflow where float16 does; the scale only grows until it overflows by itself.",
            remedy=_REMEDY,
            related=((forward.place, "autocast to bfloat16"), (event.place, "the loss is scaled")),
        )


def _asks_for_fp16(made: Place, forward: Forward) -> bool:
    """Say whether the scaler hangs on a flag for float16 of its own; bfloat16 may exclude it."""
    shared = enabled_of(forward.context.site)
    flag = None if shared is None else ast.unparse(shared)
    tests = [ast.unparse(test) for test in conditions(made.module, made.node)]
    return any(_FP16.search(test) is not None and test != flag for test in tests)


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a scaler that is on exactly where bfloat16 was chosen."""
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and scalers(view.origins(seen.node.func, seen.scope)):
            condition = next((test for test in conditions(view.module, seen.node) if says_bf16(test)), None)
            if condition is not None:
                yield Problem(
                    place=view.place(seen.node),
                    message=f"the scaler is on where `{ast.unparse(condition)}`, which is where no scaler is needed",
                    why="bfloat16 has the range of float32; float16, where it is used instead, goes without.",
                    remedy=_REMEDY,
                )
            elif low := _class_context(view, seen):
                yield Problem(
                    place=view.place(seen.node),
                    message="this GradScaler is made whichever dtype the class casts to, bfloat16 included",
                    why="bfloat16 does not underflow where float16 does; the scale grows until it overflows by itself.",
                    remedy=_REMEDY,
                    related=((view.place(low), "autocast to a dtype that may be bfloat16"),),
                )
            elif excluded := only_float32_excluded(view, seen.node):
                yield Problem(
                    place=view.place(seen.node),
                    message="this GradScaler is made for every precision but float32, bfloat16 included",
                    why="bfloat16 does not underflow where float16 does; the scale grows until it overflows by itself.",
                    remedy=_REMEDY,
                    related=((view.place(excluded), "only float32 is excluded here"),),
                    severity=Severity.INFO,
                    suspicion=True,
                )


def _class_context(view: View, seen: Seen) -> ast.AST | None:
    """Return an autocast of the scaler's class to what may be bfloat16, where nothing asks for that dtype."""
    scope = seen.scope
    cls = scope.parent
    assert isinstance(seen.node, ast.Call)
    if cls is None or not isinstance(cls.node, ast.ClassDef):
        return None
    if any(_asks(test) for test in conditions(view.module, seen.node)):
        return None
    for node in ast.walk(cls.node):
        match node:
            case ast.Call(func=ast.Name(id="autocast") | ast.Attribute(attr="autocast"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == "dtype" and _may_be_bf16(cls, keyword.value):
                        return node
    return None


def _asks(test: ast.expr) -> bool:
    return _DTYPE.search(ast.unparse(test)) is not None


def _may_be_bf16(cls: Scope, dtype: ast.expr) -> bool:
    """Say whether an attribute is bfloat16 in one of two cases, both of which the class spells out."""
    match dtype:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            values = [binding.value for binding in cls.attributes.get(name, []) if binding.value is not None]
            names = {node.attr for value in values for node in ast.walk(value) if isinstance(node, ast.Attribute)}
            return {"bfloat16", "float16"} <= names
    return False


CHECKS = {Scaled: check}
