"""AMP136: a loss is computed in float16 and its gradients are taken without a scaler."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.origins import resolve_bindings
from stages._source.program.scopes import Function, own_nodes
from stages._source.testfiles import is_test_file
from stages._source.wanted import Wanted
from stages.logic.casting import forward_of, may_be_float16
from stages.logic.constructors import autocasts, bind
from stages.logic.engine.events import Backward
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module
    from stages._source.program.scopes import Scope, Seen
    from stages.logic.casting import Forward
    from stages.logic.constructors import Signature
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP136",
    name="fp16-autocast-without-scaler",
    severity=Severity.HIGH,
    summary="A loss is computed in float16 and its gradients are taken without a scaler.",
    why=(
        "float16, the default of autocast on CUDA, has no number between 0 and 6e-8. Without a loss scale small"
        " gradients become zero, and layers stop learning while the loss still falls."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, path):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):  # expect: AMP136
                        loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                torch.save({"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}, path)
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda"):  # expect: AMP136
                        loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast

            class Trainer:
                def __init__(self, model, args):
                    self.model, self.args = model, args
                    self.optimizer = torch.optim.AdamW(model.parameters())

                def step(self, batch):
                    with autocast(enabled=self.args.amp):  # expect: AMP136
                        loss = self.model(batch).mean()
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
        """),
        Bad("""
            from contextlib import nullcontext
            import torch

            def forward(model, batch, precision):
                if precision == "fp16":
                    dtype = torch.float16
                elif precision == "bf16":
                    dtype = torch.bfloat16
                else:
                    dtype = None
                autocast = torch.cuda.amp.autocast if dtype is not None else nullcontext
                with autocast():  # expect: AMP136
                    return model(batch)
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()

            def evaluate(model, loader):
                with torch.no_grad(), torch.autocast("cuda"):
                    return [model(x) for x, _ in loader]
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer):
                scaler = torch.amp.GradScaler("cuda") if args.amp else None
                for batch in loader:
                    with torch.autocast("cuda", enabled=args.amp):
                        loss = model(batch)
                    optimizer.zero_grad()
                    if scaler is None:
                        loss.backward()
                        optimizer.step()
                    else:
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, dtype, accelerator, engine):
                for batch in loader:
                    with torch.autocast("cuda", dtype=dtype):
                        loss = model(batch)
                    loss.backward()
                    optimizer.step()
                for batch in loader:
                    with torch.autocast("cuda"):
                        loss = engine(batch)
                    engine.backward(loss)
                    engine.step()
        """),
        Good("""
            import torch

            def peak_memory(model, optimizer, x):
                optimizer.zero_grad()
                with torch.autocast("cuda"):
                    loss = model(x).mean()
                loss.backward()  # no optimizer.step(): only memory is measured
                return torch.cuda.max_memory_allocated()
        """),
        Good("""
            import torch
            from functools import partial

            def build(precision):
                weight_dtype = torch.float16 if precision == "fp16" else torch.bfloat16
                return weight_dtype

            def validate(model, batch, name):
                amp_dtype = torch.bfloat16 if name == "bfloat16" else torch.float16
                amp_autocast = partial(torch.autocast, device_type="cuda", dtype=amp_dtype)
                with amp_autocast():
                    return model(batch)

            def show(pipeline, dtype, use_bf16):
                dtype = torch.bfloat16 if use_bf16 else torch.float16
                pipeline.to(dtype)
                with torch.autocast("cuda"):
                    return pipeline()
        """),
    ),
)

_SCALES = late(r"scaler|scale_loss|loss_scale|GradScaler|deepspeed", re.I)
_IDLE = ("state_dict", "load_state_dict", "update", "get_scale", "is_enabled")
_TEXT = r"\"[^\"\n]*\"|'[^'\n]*'"
_TRAINS = late(r"optim|\.step\(", re.I)
_COMMENT = late(r"#.*")
_CHOSEN = late(r"(?:\w+_)?(?:dtype|precision)")


def check(event: Backward) -> Iterator[Problem]:
    """Report a plain backward of a loss that comes out of a float16 context, in a file that never scales."""
    forward = forward_of(event.state)
    if forward is None or not _is_float16(forward) or event.by is not None or event.carries is not None:
        return
    if not event.certain or event.state.protocol.used or event.call is None or event.call.args:
        return
    text = "\n".join(event.place.module.lines)
    code = _COMMENT.sub("", text)
    other = "\n".join(forward.place.module.lines)
    if is_test_file(event.place.module.path):
        return  # what a test trains need not learn
    if (
        _scales(event.place.module, text)
        or _scales(forward.place.module, other)
        or not _TRAINS.search(code)
        or "step" not in code
    ):
        return  # gradients that nobody steps with are looked at or timed
    yield Problem(
        place=forward.place,
        message="the loss is computed in float16, and nothing scales it before backward",
        why="Gradients below 6e-8 become zero; how many do depends on the model and grows as training goes on.",
        remedy='Use `scaler = torch.amp.GradScaler("cuda")`, or `dtype=torch.bfloat16`, which needs none.',
        related=((event.place, "backward of the unscaled loss"),),
    )


def _is_float16(forward: Forward) -> bool:
    """Say whether a context is one of float16: on CUDA also one without dtype, where the file makes a scaler for it."""
    if forward.context.dtype == "float16":
        return True
    return may_be_float16(forward) and bool(_made_and_idle(forward.place.module))


def _scales(module: Module, text: str) -> bool:
    """Say whether a file may scale losses: it speaks of that, and not only of scalers that it makes and never uses."""
    if not _SCALES.search(text):
        return False
    idle = _made_and_idle(module)
    names = "|".join(re.escape(name) for name in idle)
    rest = re.sub(rf"{_TEXT}|\b\w*GradScaler\b" + (rf"|\b(?:{names})\b" if names else ""), "", _COMMENT.sub("", text))
    return not idle or _SCALES.search(rest) is not None


def _made_and_idle(module: Module) -> set[str]:
    """Return the names of the file's scalers, if none of them is read but to save, load, step or update it."""
    made: set[str] = set()
    for node in ast.walk(module.tree):
        value = node.value if isinstance(node, ast.Assign) else None
        if (
            isinstance(node, ast.Assign)
            and isinstance(value, ast.Call)
            and last_name(value.func).endswith("GradScaler")
        ):
            made |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    idle = {
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in _IDLE and isinstance(node.value, ast.Name)
    }
    reads = [node for node in ast.walk(module.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return made if all(node in idle for node in reads if node.id in made) else set()


READS = Wanted(every=(b"bfloat16", b"autocast"))


def inspect(view: View) -> Iterator[Problem]:
    """Report a context that takes float16 by default where the function chose its dtype and does not pass it on."""
    for seen in view.calls():
        node = seen.node
        if isinstance(node, ast.Call) and (signatures := _called_by_name(view, seen)):
            bound = bind(node, signatures[0])
            if bound.whole and not bound.by_name.keys() & {"dtype", "enabled"} and signatures[0].device != "cpu":
                chosen = _chosen(seen)
                if chosen:
                    yield Problem(
                        place=view.place(node),
                        message=f"`{chosen}` is chosen above and not passed on: this context runs in float16 always",
                        why="Whoever asks for bfloat16 gets float16, and no scaler with it: small gradients are zero.",
                        remedy=f"Pass it: `dtype={chosen}`.",
                    )


def _called_by_name(view: View, seen: Seen) -> tuple[Signature, ...]:
    """Return the contexts that a call makes; none where it is a `partial`, which may have been given a dtype."""
    assert isinstance(seen.node, ast.Call)
    func = seen.node.func
    made = [item.value for item in resolve_bindings(view.project, func, seen.scope) if item.value is not None]
    if any(isinstance(node, ast.Call | ast.Lambda) for value in made for node in ast.walk(value)):
        return ()
    return autocasts(view.origins(func, seen.scope))


def _chosen(seen: Seen) -> str | None:
    """Return a name that holds one of several dtypes and is only tested, or handed to other autocast contexts."""
    if not isinstance(seen.scope.node, Function):
        return None
    for name in seen.scope.bindings:
        if not _CHOSEN.fullmatch(name) or not {"float16", "bfloat16"} <= _dtypes(seen.scope, name):
            continue
        if _only_tested(seen.scope.node, name):
            return name
    return None


def _dtypes(scope: Scope, name: str) -> set[str]:
    values = [binding.value for binding in scope.bindings[name] if binding.how == "value"]
    return {
        node.attr
        for value in values
        if value is not None
        for node in ast.walk(value)
        if isinstance(node, ast.Attribute)
    }


def _only_tested(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    fine: set[ast.AST] = set()
    loads: set[ast.AST] = set()
    for node in own_nodes(function.body):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            loads.add(node)
        elif isinstance(node, ast.Compare) or (isinstance(node, ast.keyword) and node.arg == "dtype"):
            fine |= set(ast.walk(node))
    return bool(loads) and loads <= fine


CHECKS = {Backward: check}
