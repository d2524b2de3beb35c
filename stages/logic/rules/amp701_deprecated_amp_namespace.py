"""AMP701: a file uses names of torch.cuda.amp or torch.cpu.amp that torch.amp has replaced."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.deprecated import LAST_NAMES, is_deprecated, rewritten, today
from stages.logic.guards import asked_before
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP701",
    name="deprecated-amp-namespace",
    severity=Severity.LOW,
    summary="A file uses names of torch.cuda.amp or torch.cpu.amp that torch.amp has replaced.",
    why=(
        "They warn since torch 2.4 on every use. The new constructors take the device first, so putting it in front of"
        " positional arguments breaks them: `autocast(use_amp)` is written `autocast('cuda', enabled=use_amp)`."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, use_amp):
                scaler = torch.cuda.amp.GradScaler(enabled=use_amp)  # expect: AMP701
                for x, y in loader:
                    with torch.cuda.amp.autocast(use_amp, torch.float16):
                        loss = model(x, y)
                    scaler.scale(loss).backward()
        """),
        Bad("""
            import torch
            from torch.cuda.amp import autocast, custom_bwd, custom_fwd  # expect: AMP701

            class Square(torch.autograd.Function):
                @staticmethod
                @custom_fwd(cast_inputs=torch.float32)
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x * x

                @staticmethod
                @custom_bwd
                def backward(ctx, grad):
                    return 2 * ctx.saved_tensors[0] * grad

            def run(x):
                with autocast():
                    return Square.apply(x)
        """),
        Good("""
            import torch
            from torch.amp import GradScaler, autocast

            def train(model, loader, use_amp):
                scaler = GradScaler("cuda", enabled=use_amp)
                for x, y in loader:
                    with autocast("cuda", enabled=use_amp):
                        loss = model(x, y)
                    scaler.scale(loss).backward()
                return torch.is_autocast_enabled()
        """),
        Good("""
            import torch

            try:
                from torch.amp import GradScaler
            except ImportError:
                from torch.cuda.amp import GradScaler

            if hasattr(torch.amp, "custom_fwd"):
                custom_fwd = torch.amp.custom_fwd
            else:
                custom_fwd = torch.cuda.amp.custom_fwd

            scaler = GradScaler(enabled=torch.cuda.is_available())
        """),
    ),
)

_SINCE = (2, 4)


def inspect(view: View) -> Iterator[Problem]:
    """Report a file once, at the first place, and list the others."""
    before = view.torch.before
    if before is not None and before <= _SINCE:
        return
    places = sorted(_imports(view) + _uses(view), key=lambda item: (item[0].lineno, item[0].col_offset))
    if not places:
        return
    names = sorted({name for _, name, _ in places})
    count = "once" if len(places) == 1 else f"in {len(places)} places"
    yield Problem(
        place=view.place(places[0][0]),
        message=f"deprecated since torch 2.4, used {count}: {', '.join(names)}",
        why="Each use warns. The warning's own advice is wrong where an argument stands by position.",
        remedy=f"Write {places[0][2]}.",
        related=tuple((view.place(node), text) for node, _, text in places[1:]),
    )


def _imports(view: View) -> list[tuple[ast.stmt | ast.expr, str, str]]:
    found: list[tuple[ast.stmt | ast.expr, str, str]] = []
    for scope in view.module.scopes.scopes.values():
        for bindings in scope.bindings.values():
            for binding in bindings:
                node = binding.node
                if binding.how != "import" or not is_deprecated(binding.origin):
                    continue
                if isinstance(node, ast.ImportFrom) and not asked_before(view, node):
                    found.append((node, binding.origin, f"`{_import(binding.origin)}`"))
    return found


def _import(name: str) -> str:
    package, _, last = today(name).rpartition(".")
    return f"from {package} import {last}"


def _uses(view: View) -> list[tuple[ast.stmt | ast.expr, str, str]]:
    found: list[tuple[ast.stmt | ast.expr, str, str]] = []
    aliases = _aliases(view)
    for seen in view.module.scopes.loads:
        node = seen.node
        if isinstance(node, ast.Attribute) and not LAST_NAMES.fullmatch(node.attr):
            continue
        if isinstance(node, ast.Name) and node.id not in aliases:
            continue
        assert isinstance(node, ast.expr)
        if (name := _deprecated(view, seen, node)) and not asked_before(view, node):
            parent = view.parent(node)
            call = parent if isinstance(parent, ast.Call) and parent.func is node else None
            found.append((node, name, f"`{rewritten(call, name)}`"))
    return found


def _aliases(view: View) -> set[str]:
    """Return the names under which the file imports something that may be deprecated."""
    return {
        name
        for scope in view.module.scopes.scopes.values()
        for name, bindings in scope.bindings.items()
        if any(binding.how == "import" and is_deprecated(binding.origin) for binding in bindings)
    }


def _deprecated(view: View, seen: Seen, node: ast.expr) -> str | None:
    """Return the old name; None where another version of torch brings another one."""
    names = view.origins(node, seen.scope)
    return next(iter(names)) if len(names) == 1 and all(map(is_deprecated, names)) else None
