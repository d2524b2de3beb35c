"""AMP803: every training step waits for the device."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.testfiles import is_test_file
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP803",
    name="per-step-host-sync",
    severity=Severity.MEDIUM,
    summary="Every training step waits for the device.",
    why=(
        "`.item()`, `.cpu()` and tests of tensors make the host wait until the device is done; then the device waits "
        "for the host to hand it the next work. AMP makes steps shorter, so the pause is a larger part of them. "
        "`scaler.step` waits once itself: what is read behind it costs little, what is read before backward is paid in "
        "full. How much that is only a run shows: the code alone gives a hint."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion, meter):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    meter.update(loss.item())  # expect: AMP803
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    print(loss.item())  # expect: AMP803
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                total = torch.zeros((), device="cuda")
                for i, (x, y, lengths) in enumerate(loader):
                    length = lengths.max()
                    seed = torch.randint(0, 8, (1,)).item()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x[: length.item()]), y)
                    if i % 100 == 0:
                        print(loss.item())
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
                    last = loss.item()  # the scaler has waited already
                    total += loss.detach()
                return total.item(), last

            def evaluate(model, loader):
                with torch.autocast("cuda"):
                    return [model(x).argmax(-1).cpu() for x in loader]

            def in_float32(model, loader, optimizer, criterion):
                for x, y in loader:
                    loss = criterion(model(x), y)
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    print(loss.item())
        """),
    ),
)
_WAITS = frozenset(["item", "tolist", "cpu"])
_DRAWS = frozenset(["randint", "rand", "randn", "randperm", "tensor"])
_SHOWN = 4  # further places of one loop


READS = Wanted(every=(b"backward",), some=tuple(name.encode() for name in sorted(_WAITS)))


def inspect(view: View) -> Iterator[Problem]:
    """Point out, once a loop, what waits for the device in each of its turns."""
    if is_test_file(view.module.path) or not any(view.mentions(f".{name}(") for name in _WAITS):
        return
    for loop in _training_loops(view):
        if not _uses_amp(view, loop):
            continue
        waits = sorted(_waits(view, loop), key=lambda call: (call.lineno, call.col_offset))
        if waits:
            first, *others = waits
            yield Problem(
                place=view.place(first),
                message=f"`{ast.unparse(first)}` waits for the device in every step",
                remedy="Read it every hundredth step, or keep the number on the device.",
                related=tuple((view.place(other), "waits as well") for other in others[:_SHOWN]),
                severity=Severity.INFO,
            )


def _training_loops(view: View) -> Iterator[ast.For | ast.While]:
    """Yield the innermost loops around each backward of the file, once each; none over a few things that are listed."""
    found: dict[ast.AST, None] = {}
    for seen in view.calls():
        if isinstance(seen.node, ast.Call) and last_name(seen.node.func) == "backward":
            around = view.parent(seen.node)
            while around is not None and not isinstance(around, Function | ast.Module):
                if isinstance(around, ast.For | ast.While):
                    listed = isinstance(around, ast.For) and isinstance(around.iter, ast.Tuple | ast.List)
                    if around not in found and not listed:
                        found[around] = None
                        yield around
                    break
                around = view.parent(around)


def _uses_amp(view: View, loop: ast.AST) -> bool:
    """Say whether the function around a loop enters autocast or scales a loss; any other loop is no business of AMP."""
    around: ast.AST | None = loop
    while around is not None and not isinstance(around, Function | ast.Module):
        around = view.parent(around)
    names = (last_name(node.func) for node in ast.walk(around or view.module.tree) if isinstance(node, ast.Call))
    return any(name == "scale" or vocabulary.called_like_autocast(name) for name in names)


def _waits(view: View, loop: ast.For | ast.While) -> Iterator[ast.Call]:
    """Yield what waits in each turn: before the last backward only, where the scaler waits behind it anyway."""
    calls = [node for part in loop.body for node in ast.walk(part) if isinstance(node, ast.Call)]
    last = max((call.lineno for call in calls if last_name(call.func) == "backward"), default=0)
    scaled = any(last_name(call.func) == "scale" for call in calls)
    for call in calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in _WAITS or call.args:
            continue
        if (scaled and call.lineno > last) or _is_of_batch(view, call, loop):
            continue
        if _in_each_turn(view, call, loop):
            yield call


def _is_of_batch(view: View, call: ast.Call, loop: ast.For | ast.While) -> bool:
    """Say whether a call asks for a part of what the loader gives, which lies on the host."""
    given: set[str] = set()
    around: ast.AST | None = loop
    while around is not None and not isinstance(around, Function):
        if isinstance(around, ast.For):
            given |= _names(around.target)
        around = view.parent(around)
    for node in (part for item in loop.body for part in ast.walk(item)):
        if isinstance(node, ast.Assign) and (_root(node.value) in given or _is_next(node.value)):
            for target in node.targets:
                given |= _names(target)
    return _root(call) in given or _is_drawn(call)


def _is_drawn(node: ast.expr) -> bool:
    """Say whether a number is drawn on the host: `torch.randint(0, n, (1,)).item()`."""
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Call) and last_name(node.func) in _DRAWS:
            return not any(item.arg == "device" for item in node.keywords)
        node = node.func if isinstance(node, ast.Call) else node.value
    return False


def _root(node: ast.expr) -> str:
    """Return the name at the very left of an expression: `batch` of `batch["length"].item()`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_next(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "next"


def _names(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _in_each_turn(view: View, call: ast.Call, loop: ast.For | ast.While) -> bool:
    inner: ast.AST = call
    around = view.parent(call)
    while around is not None and around is not loop:
        if isinstance(around, ast.If | ast.IfExp) and inner is not around.test:
            return False
        if isinstance(around, Function | ast.Lambda | ast.For | ast.While | ast.ExceptHandler):
            return False
        inner, around = around, view.parent(around)
    return True
