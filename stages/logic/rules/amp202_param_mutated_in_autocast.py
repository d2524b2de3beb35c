"""AMP202: parameters are written inside an autocast context, between two forwards in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.program.scopes import SCOPED, own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP202",
    name="param-mutated-in-autocast",
    severity=Severity.CRITICAL,
    summary="Parameters are written inside an autocast context, between two forwards in it.",
    why=(
        "The half copies of the weights that the first forward left in autocast's cache stay valid for it whatever is"
        " written to the weights: loaded checkpoints, swapped averages, clipped critics and inner steps have no effect"
        " on the next forward of the same context. That holds under no_grad too, and nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            @torch.no_grad()
            def compare(model, averaged, loader):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    plain = [model(batch) for batch in loader]
                    model.load_state_dict(averaged.state_dict())  # expect: AMP202
                    return plain, [model(batch) for batch in loader]
        """),
        Bad("""
            import torch

            def critic_losses(critic, loader, limit):
                with torch.autocast("cuda", dtype=torch.float16):
                    for real, fake in loader:
                        loss = critic(fake).mean() - critic(real).mean()
                        for p in critic.parameters():
                            p.data.clamp_(-limit, limit)  # expect: AMP202
                        show(loss)

            def show(loss):
                print(loss.item())
        """),
        Bad("""
            import torch

            def perturbed(model, x, y, criterion, rho):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    first = criterion(model(x), y)
                    grads = torch.autograd.grad(first, list(model.parameters()))
                    with torch.no_grad():
                        for p, g in zip(model.parameters(), grads):
                            p.add_(rho * g)  # expect: AMP202
                    second = criterion(model(x), y)
                return second
        """),
        Good("""
            import torch

            def compare(model, averaged, loader, limit):
                with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
                    plain = [model(batch) for batch in loader]
                model.load_state_dict(averaged.state_dict())
                with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
                    after = [model(batch) for batch in loader]
                    averaged.load_state_dict(model.state_dict())
                with torch.autocast("cuda", cache_enabled=False):
                    model(loader[0])
                    model.load_state_dict(averaged.state_dict())
                    model(loader[0])
                with torch.inference_mode(), torch.autocast("cuda"):
                    model(loader[0])
                    model.load_state_dict(averaged.state_dict())
                    model(loader[0])
                return plain, after
        """),
        Good("""
            import torch

            def load_then_run(model, state, loader):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    model.load_state_dict(state)
                    first = [model(batch) for batch in loader]
                    model.load_state_dict(first)
                    torch.clear_autocast_cache()
                    return [model(batch) for batch in loader]

            def after_the_last(model, loader, ema):
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = model(batch).mean()
                        for p in ema.parameters():
                            p.data.mul_(0.999)
                return loss
        """),
    ),
)
_WRITES = frozenset(
    ["add_", "sub_", "mul_", "div_", "copy_", "clamp_", "clip_", "lerp_", "fill_", "zero_", "normal_", "uniform_"]
)
_PARAMETERS = ("parameters", "named_parameters")


@dataclass(frozen=True, slots=True)
class Write:
    """A write to the parameters of what `model` spells, at `node`."""

    model: str
    node: ast.Call


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report the first write in each region that a forward before and one after it enclose."""
    regions = Regions(view)
    for region in regions.all():
        if not isinstance(region.node, ast.With) or region.off or _is_uncached(region):
            continue
        inside = [node for node in own_nodes(region.node.body) if not isinstance(node, SCOPED)]
        for write in sorted(_writes(inside), key=lambda one: one.node.lineno):
            forwards = [node for node in inside if isinstance(node, ast.Call) and ast.unparse(node.func) == write.model]
            if _is_enclosed(view, region, write, forwards):
                yield _problem(view, region, write, forwards)
                break


def _problem(view: View, region: Region, write: Write, forwards: list[ast.Call]) -> Problem:
    return Problem(
        place=view.place(write.node),
        message=f"parameters of `{write.model}` are written between two forwards in one autocast context",
        why="The next forward takes the weights from before out of autocast's cache.",
        remedy="Leave the context before the write, or call `torch.clear_autocast_cache()` after it.",
        related=((view.place(region.call), "autocast is entered"), (view.place(forwards[-1]), "a forward in it")),
    )


def _writes(inside: list[ast.AST]) -> Iterator[Write]:
    for node in inside:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="load_state_dict")):
                yield Write(ast.unparse(owner), node)
            case ast.For(target=target, iter=iterated):
                model = _iterated_model(iterated)
                names = {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
                for part in ast.walk(node) if model else ():
                    if isinstance(part, ast.Call) and _writes_to(part, names):
                        yield Write(model, part)


def _iterated_model(iterated: ast.expr) -> str:
    """Return the model whose parameters a loop goes through first."""
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute):
        return ast.unparse(iterated.func.value) if iterated.func.attr in _PARAMETERS else ""
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) and iterated.args:
        return _iterated_model(iterated.args[0])
    return ""


def _writes_to(call: ast.Call, names: set[str]) -> bool:
    """Say whether a call writes in place to a loop's parameter itself; gradients are another matter."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="data"), attr=method):
            return name in names and method in _WRITES
    return False


def _is_enclosed(view: View, region: Region, write: Write, forwards: list[ast.Call]) -> bool:
    """Say whether a forward ran before the write and one runs after it, in order of lines or in a later turn."""
    before = any(node.lineno < write.node.lineno for node in forwards)
    after = any(node.lineno > write.node.lineno for node in forwards)
    loops = [loop for loop in _loops(view, write.node, region) if any(_holds(loop, node) for node in forwards)]
    return bool(forwards) and ((before and after) or bool(loops))


def _loops(view: View, node: ast.AST, region: Region) -> Iterator[ast.AST]:
    parent = view.parent(node)
    while parent is not None and parent is not region.node:
        if isinstance(parent, ast.For | ast.AsyncFor | ast.While):
            yield parent
        parent = view.parent(parent)


def _holds(loop: ast.AST, node: ast.AST) -> bool:
    return any(part is node for part in ast.walk(loop))


def _is_uncached(region: Region) -> bool:
    """Say whether the region caches nothing: told not to, cleared by hand, or under inference mode."""
    assert isinstance(region.node, ast.With)
    names = {part.attr for part in ast.walk(region.node) if isinstance(part, ast.Attribute)}
    if names & {"clear_autocast_cache", "inference_mode"}:
        return True
    return any(keyword.arg == "cache_enabled" for keyword in region.call.keywords)
