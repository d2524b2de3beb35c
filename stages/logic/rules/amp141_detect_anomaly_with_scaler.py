"""AMP141: anomaly detection is on while a gradient scaler looks for its scale."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP141",
    name="detect-anomaly-with-scaler",
    severity=Severity.MEDIUM,
    summary="Anomaly detection is always on in code that trains with a gradient scaler.",
    why=(
        "An overflow that the scaler would skip reaches the backward as NaN, and anomaly detection raises there:"
        " `Function 'AddmmBackward0' returned nan values`. It also slows every step, and does not look for inf."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            torch.autograd.set_detect_anomaly(True)  # expect: AMP141

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer, scaler):
                for x in loader:
                    optimizer.zero_grad()
                    with torch.autograd.detect_anomaly():  # expect: AMP141
                        with torch.autocast("cuda"):
                            loss = model(x).mean()
                        scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch

            def train(args, model, loader, optimizer):
                scaler = None
                if args.fp16:
                    scaler = torch.amp.GradScaler("cuda")
                    torch.autograd.set_detect_anomaly(True)  # expect: AMP141
                for x in loader:
                    loss = model(x)
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

            def train(model, loader, optimizer, scaler, args):
                torch.autograd.set_detect_anomaly(args.debug)
                if args.anomaly:
                    torch.autograd.set_detect_anomaly(True)
                for x in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            torch.autograd.set_detect_anomaly(False)

            def train(model, loader, optimizer, scaler):
                for x in loader:
                    optimizer.zero_grad()
                    scaler.scale(model(x).mean()).backward()
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            torch.autograd.set_detect_anomaly(True)

            def train(model, loader, optimizer):
                for x in loader:
                    optimizer.zero_grad()
                    model(x).mean().backward()
                    optimizer.step()
        """),
    ),
)
_SWITCHES = frozenset(
    f"torch.{prefix}{name}"
    for prefix in ("autograd.", "autograd.anomaly_mode.")
    for name in ("set_detect_anomaly", "detect_anomaly")
)


READS = Wanted(every=(b"detect_anomaly",))


def inspect(view: View) -> Iterator[Problem]:
    """Report anomaly detection that nothing switches off, where a scaled loss runs backward in the same file."""
    calls = [seen for seen in view.calls() if _turns_on(view, seen)]
    if not calls:
        return
    scaling = [seen.node for seen in view.calls() if isinstance(seen.node, ast.Call) and _scales(view, seen)]
    if not scaling:
        return
    for seen in calls:
        yield Problem(
            place=view.place(seen.node),
            message="Anomaly detection is on while a gradient scaler is in use",
            why="It raises on the first overflow, which the scaler would have skipped.",
            remedy="Switch it on for debugging only, by a flag, and best without the scaler.",
            related=((view.place(scaling[0]), "the loss is scaled here"),),
        )


def _turns_on(view: View, seen: Seen) -> bool:
    """Say whether a call switches anomaly detection on, whatever the flags say."""
    node = seen.node
    if not isinstance(node, ast.Call) or _conditional(view, node):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name not in ("set_detect_anomaly", "detect_anomaly") or not view.origins(node.func, seen.scope) & _SWITCHES:
        return False
    mode = node.args[0] if node.args else next((word.value for word in node.keywords if word.arg == "mode"), None)
    if name == "detect_anomaly":
        return True
    return isinstance(mode, ast.Constant) and mode.value is True


def _conditional(view: View, node: ast.AST) -> bool:
    """Say whether the call runs only under some test, other than the one under which the scaler is made."""
    around: ast.AST | None = node
    while around is not None and not isinstance(around, Function):
        if isinstance(around, ast.IfExp) or (isinstance(around, ast.If) and not _makes_scaler(around, node)):
            return True
        around = view.parent(around)
    return False


def _makes_scaler(test: ast.If, node: ast.AST) -> bool:
    """Say whether the branch that holds a call makes a scaler too."""
    branches = [branch for branch in (test.body, test.orelse) for item in branch if node in ast.walk(item)]
    return any(
        isinstance(part, ast.Call) and last_name(part.func).endswith("GradScaler")
        for branch in branches
        for item in branch
        for part in ast.walk(item)
    )


def _scales(view: View, seen: Seen) -> bool:
    """Say whether a call is `scaler.scale(...)`."""
    node = seen.node
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "scale"
        and view.kinds.is_scaler(node.func.value, seen.scope, view.module)
    )
