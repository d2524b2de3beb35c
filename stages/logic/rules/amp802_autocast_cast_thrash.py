"""AMP802: a recurrence enters autocast anew in every turn, and so casts the same weights in every turn."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP802",
    name="autocast-cast-thrash",
    severity=Severity.MEDIUM,
    summary="A recurrence enters autocast anew in every turn, and so casts the same weights in every turn.",
    why=(
        "Leaving the outermost context clears the cache of cast weights. A context inside the loop of a recurrence"
        " therefore casts every weight in every turn, 33 casts instead of 3 for eleven steps of one cell, forward and"
        " in the graph of backward. The result is the same; time and memory are not."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            class Recurrent(torch.nn.Module):
                def __init__(self, cell, steps):
                    super().__init__()
                    self.cell = cell
                    self.steps = steps

                def forward(self, x, h):
                    for t in range(self.steps):
                        with torch.autocast("cuda", dtype=torch.bfloat16):  # expect: AMP802
                            h = self.cell(x[t], h)
                    return h
        """),
        Bad("""
            import torch

            try:
                autocast = torch.cuda.amp.autocast
            except AttributeError:
                class autocast:
                    def __init__(self, enabled):
                        pass

                    def __enter__(self):
                        pass

                    def __exit__(self, *error):
                        pass

            class Refine(torch.nn.Module):
                def forward(self, net, inp, correlate, coords, iters):
                    for itr in range(iters):
                        coords = coords.detach()
                        corr = correlate(coords)
                        with autocast(enabled=self.args.mixed_precision):  # expect: AMP802
                            net, mask, delta = self.update_block(net, inp, corr)
                        coords = coords + delta
                    return coords, mask
        """),
        Good("""
            import torch

            class Recurrent(torch.nn.Module):
                def forward(self, x, h):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        for t in range(x.shape[0]):
                            h = self.cell(x[t], h)
                            with torch.autocast("cuda", dtype=torch.bfloat16):
                                h = self.norm(h)
                    return h
        """),
        Good("""
            import torch

            def train(model, optimizer, steps, batches):
                state = None
                for step in range(steps):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        state = model(batches[step], state)
                        loss = state.mean()
                    loss.backward()
                    optimizer.step()
                    state = state.detach()

            def fill(model, noise, steps):
                for t in range(steps):
                    with torch.autocast("cuda", enabled=False):
                        noise = model(noise)
                return noise

            def every(models, x):
                for model in models:
                    with torch.autocast("cuda"):
                        x = model(x)
                return x
        """),
    ),
)
_TRAINS = frozenset(["backward", "step", "zero_grad"])


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report a context whose only work is to feed a module's result back to it, in a loop with no training step."""
    regions = Regions(view)
    for region in regions.all():
        loop = _loop_around(view, region)
        if region.off or loop is None or not _is_counted(view, loop, region) or _trains(loop):
            continue
        if regions.around(loop) is not None or region.scope.qualname.rpartition(".")[2].startswith("train"):
            continue
        fed = _feeds_itself(region, loop)
        if fed:
            yield Problem(
                place=view.place(region.call),
                message=f"autocast is entered anew in every turn of a recurrence over `{fed}`",
                why="The cache of cast weights is cleared in every turn, so all of them are cast anew.",
                remedy="Enter autocast once, around the loop; turn it off inside for what needs fp32.",
                related=((view.place(loop), "the loop"),),
            )


def _loop_around(view: View, region: Region) -> ast.For | None:
    """Return the loop that the region is a statement of, directly or in a branch."""
    if not isinstance(region.node, ast.With):
        return None
    parent = view.parent(region.node)
    while isinstance(parent, ast.If | ast.With):
        parent = view.parent(parent)
    return parent if isinstance(parent, ast.For) else None


def _is_counted(view: View, loop: ast.For, region: Region) -> bool:
    """Say whether a loop counts turns: one over modules or batches uses other weights, or is a training loop."""
    if not isinstance(loop.iter, ast.Call):
        return False
    return last_name(loop.iter.func) == "range" and view.origins(loop.iter.func, region.scope) <= {"range"}


def _trains(loop: ast.For) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in _TRAINS for node in ast.walk(loop))


def _feeds_itself(region: Region, loop: ast.For) -> str:
    """Return the name that a call in the region both gets and gives; the module must be the same in every turn."""
    assert isinstance(region.node, ast.With)
    turning = {part.id for part in ast.walk(loop.target) if isinstance(part, ast.Name)}
    for node in own_nodes(region.node.body):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        called = {part.id for part in ast.walk(node.value.func) if isinstance(part, ast.Name)}
        if called & turning or ast.unparse(node.value.func).startswith(("torch.", "F.")):
            continue
        arguments = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
        given = {part.id for item in arguments for part in ast.walk(item) if isinstance(part, ast.Name)}
        bound = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        fed = [name for name in bound if name in given and not called & {name}]
        if fed:
            return fed[0]
    return ""
