"""AMP120: a scaler's state is saved with AMP on and loaded with AMP off, or the other way round."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.scopes import Function
from stages._source.testfiles import is_test_file
from stages._source.wanted import Wanted
from stages.logic.constructors import bind, scalers
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP120",
    name="scaler-state-flag-mismatch",
    severity=Severity.LOW,
    summary="A scaler's state is saved with AMP on and loaded with AMP off, or the other way round.",
    why=(
        "A disabled scaler saves an empty state, which an enabled one refuses to load; the other way round the "
        "state is ignored without a word. What is loaded also overrides the arguments that the scaler was made "
        "with."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def resume(args, model, optimizer, path):
                scaler = torch.amp.GradScaler("cuda", enabled=args.amp)
                checkpoint = torch.load(path)
                model.load_state_dict(checkpoint["model"])
                optimizer.load_state_dict(checkpoint["optimizer"])
                scaler.load_state_dict(checkpoint["scaler"])  # expect: AMP120
                return scaler

            def save(model, optimizer, scaler, path):
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save({**state, "scaler": scaler.state_dict()}, path)
        """),
        Good("""
            import torch

            def resume(args, model, path):
                scaler = torch.amp.GradScaler("cuda", enabled=args.amp)
                checkpoint = torch.load(path)
                model.load_state_dict(checkpoint["model"])
                if checkpoint.get("scaler"):
                    scaler.load_state_dict(checkpoint["scaler"])
                scaler.load_state_dict(checkpoint["scaler"]) if checkpoint["scaler"] else None
                return scaler

            def resume_with_flag(args, checkpoint):
                scaler = torch.amp.GradScaler("cuda", enabled=args.amp)
                if args.amp and "scaler" in checkpoint:
                    scaler.load_state_dict(checkpoint["scaler"])
                return scaler

            class Scaler:
                def __init__(self, amp):
                    self._scaler = torch.amp.GradScaler("cuda", enabled=amp)

                def load_state_dict(self, state):
                    self._scaler.load_state_dict(state)

            def resume_always(checkpoint):
                scaler = torch.amp.GradScaler("cuda")
                scaler.load_state_dict(checkpoint["scaler"])
                return scaler
        """),
    ),
)
_FLAG = late(r"amp|fp16|half|scaler|enabled|mixed|precision", re.I)


READS = Wanted(every=(b"load_state_dict", b"caler"))


def inspect(view: View) -> Iterator[Problem]:
    """Doubt that a state is loaded into a scaler with a switch, where nothing asks whether there is one to load."""
    if is_test_file(view.module.path) or not view.mentions("load_state_dict"):
        return
    made = list(_switched(view))
    if not made:
        return
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(attr="load_state_dict", value=owner)) as load:
                scaler = next((call for target, call, scope in made if _is(owner, seen.scope, target, scope)), None)
                if scaler is not None and not _is_guarded(view, load):
                    yield Problem(
                        place=view.place(load),
                        message="a run with AMP cannot be resumed here from one without: its scaler's state is empty",
                        why="`load_state_dict` raises for an empty state; with AMP off it ignores a full one.",
                        remedy="Load it only where it is there: `if checkpoint.get('scaler'):`.",
                        related=((view.place(scaler), "the scaler is on or off by a flag"),),
                        severity=Severity.INFO,
                    )


def _is(owner: ast.expr, scope: Scope, target: ast.expr, made_in: Scope) -> bool:
    """Say whether what loads a state is what a scaler was bound to: the same variable, or an attribute of that name."""
    if isinstance(owner, ast.Name) and isinstance(target, ast.Name):
        return owner.id == target.id and scope.owner_of(owner.id) is made_in
    return isinstance(owner, ast.Attribute) and isinstance(target, ast.Attribute) and owner.attr == target.attr


def _switched(view: View) -> Iterator[tuple[ast.expr, ast.Call, Scope]]:
    """Yield the scalers of this file that a flag turns on, with what they are bound to and where."""
    for seen in view.calls():
        node = seen.node
        assert isinstance(node, ast.Call)
        called = view.origins(node.func, seen.scope)
        if not vocabulary.names_scaler(called):
            continue
        signatures = scalers(called)
        bound = dict(bind(node, signatures[0]).positional) if signatures else {}
        enabled = bound.get("enabled", next((item.value for item in node.keywords if item.arg == "enabled"), None))
        if enabled is None or isinstance(enabled, ast.Constant):
            continue
        match view.parent(node):
            case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]) | ast.AnnAssign(target=target):
                yield target, node, seen.scope


def _is_guarded(view: View, load: ast.Call) -> bool:
    """Say whether a test of the flag or of the state stands around the load, or errors are caught there."""
    inner: ast.AST = load
    around = view.parent(load)
    while around is not None and not isinstance(inner, Function):
        if isinstance(around, ast.Try) and inner in around.body:
            return True
        if (
            isinstance(around, ast.If | ast.IfExp)
            and inner is not around.test
            and _FLAG.search(ast.unparse(around.test))
        ):
            return True
        inner, around = around, view.parent(around)
    return isinstance(inner, Function) and "load_state_dict" in inner.name  # a wrapper: whoever calls it may ask
