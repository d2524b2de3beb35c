"""AMP204: a model runs under no_grad and then with gradients in one autocast context, on a torch that loses them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.half_values import is_called_like_model
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP204",
    name="no-grad-then-grad-cached",
    severity=Severity.CRITICAL,
    summary="A model runs under no_grad and then with gradients in one autocast context, on a torch that loses them.",
    why=(
        "Until torch 2.9 the casts that a forward under no_grad left in autocast's cache had no graph, and the next"
        " forward of the same context used them: its weights silently got no gradient, or backward raised that nothing"
        " requires one. Newer versions cast anew."
    ),
    mode="static",
    unseen="torch 2.13 has mended it, so a run with that version has nothing to show.",
    examples=(
        Bad("""
            # --- requirements.txt
            torch>=2.1,<2.5
            # --- train.py
            import torch

            def step(model, x, optimizer):
                with torch.autocast("cuda", dtype=torch.float16):
                    with torch.no_grad():
                        target = model(x)
                    loss = (model(x.flip(-1)) - target).square().mean()  # expect: AMP204
                loss.backward()
                optimizer.step()
        """),
        Good("""
            # --- requirements.txt
            torch>=2.1
            # --- train.py
            import torch

            def step(model, x, optimizer):
                with torch.autocast("cuda", dtype=torch.float16):
                    with torch.no_grad():
                        target = model(x)
                    loss = (model(x.flip(-1)) - target).square().mean()
                loss.backward()
                optimizer.step()
        """),
        Good("""
            # --- requirements.txt
            torch==2.4.1
            # --- train.py
            import torch

            def step(model, teacher, x, optimizer):
                with torch.autocast("cuda", dtype=torch.float16):
                    with torch.no_grad():
                        target = teacher(x)
                    loss = (model(x) - target).square().mean()
                with torch.autocast("cuda", dtype=torch.float16, cache_enabled=False):
                    with torch.no_grad():
                        target = model(x)
                    loss = loss + (model(x) - target).square().mean()
                with torch.autocast("cuda", dtype=torch.float16):
                    first = model(x)
                    with torch.no_grad():
                        target = model(x)
                    loss = loss + (model(x) - target).square().mean() + first.mean()
                loss.backward()
                optimizer.step()

            @torch.no_grad()
            def evaluate(model, x):
                with torch.autocast("cuda", dtype=torch.float16):
                    with torch.no_grad():
                        first = model(x)
                    return first, model(x)
        """),
    ),
)
_FIXED = (2, 10)


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the forward with gradients, where the project says that it runs with such a torch."""
    before = view.torch.before
    if before is None or before > _FIXED:
        return
    regions = Regions(view)
    for region in regions.all():
        if not isinstance(region.node, ast.With) or region.off or _is_uncached(region) or _no_grad(view, region.node):
            continue
        calls: dict[str, list[ast.Call]] = {}
        for node in own_nodes(region.node.body):
            if isinstance(node, ast.Call) and is_called_like_model(node.func) and regions.around(node) is region:
                calls.setdefault(ast.unparse(node.func), []).append(node)
        for name, forwards in calls.items():
            first, *later = sorted(forwards, key=lambda node: (node.lineno, node.col_offset))
            graph = next((node for node in later if not _no_grad(view, node)), None)
            if graph is not None and _no_grad(view, first):
                yield _problem(view, name, first, graph)


def _problem(view: View, name: str, first: ast.Call, graph: ast.Call) -> Problem:
    return Problem(
        place=view.place(graph),
        message=f"`{name}` ran under no_grad before in this context, and its casts were cached without a graph",
        why=f"Its weights get no gradient from here; `{view.torch.said}` allows only versions that do so.",
        remedy="Enter autocast anew for the second forward, or call `torch.clear_autocast_cache()` between both.",
        related=((view.place(first), "forward under no_grad"),),
    )


def _no_grad(view: View, node: ast.AST) -> bool:
    """Say whether a node runs where no gradient is wanted, by a `with` or a decorator of its own function."""
    while True:
        parent = view.parent(node)
        if parent is None:
            return False
        if isinstance(parent, ast.With) and any(_is_no_grad(item.context_expr) for item in parent.items):
            return True
        if isinstance(parent, Function):
            return any(_is_no_grad(item) for item in parent.decorator_list)
        node = parent


def _is_no_grad(node: ast.expr) -> bool:
    return last_name(node.func if isinstance(node, ast.Call) else node) in ("no_grad", "inference_mode")


def _is_uncached(region: Region) -> bool:
    if any(keyword.arg == "cache_enabled" for keyword in region.call.keywords):
        return True
    return any(
        isinstance(node, ast.Attribute) and node.attr == "clear_autocast_cache" for node in ast.walk(region.node)
    )
