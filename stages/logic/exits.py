"""Which test sent a path around a step: one about the batch's health, or one about accumulation."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.state import Happened, State

_BOUNDARY = late(r"%|accum|boundary|sync|freq|every|interval|micro|last|_steps?\b|divmod|optim", re.I)
_HEALTH = late(
    r"finite|isnan|isinf|\bnan\b|\binf\b|_nan|nan_|overflow|skip|explo|spike|bad|invalid|abnormal|\.grad\b", re.I
)
_NORM = late(r"norm\w*\s*(?:>|<)|(?:>|<)=?\s*[\w.]*(?:max|thres|limit|norm)", re.I)
_LEAVES = (ast.Continue, ast.Return, ast.Break, ast.Raise)


@dataclass(frozen=True, slots=True)
class Detour:
    """A test after which the path did not step, though it could have."""

    place: Place
    kind: Literal["health", "boundary", "other"]
    statement: ast.If


def happened_since(state: State, at: Place) -> Iterator[Happened]:
    """Yield what happened on the path after it was at a place, latest first; nothing if it never was there."""
    steps: list[Happened] = []
    step = state.trail
    while step is not None and step.place != at:
        steps.append(step)
        step = step.before
    yield from steps if step is not None else ()


def backward_since(state: State, at: Place) -> bool:
    return any(step.what.startswith("backward") for step in happened_since(state, at))


def plain_step_since(state: State, at: Place) -> bool:
    """Say whether an optimizer stepped past the scaler after a place: another rule's finding."""
    return any(
        step.what.startswith("step of") and "scaler" not in step.what.rpartition(" the ")[2]
        for step in happened_since(state, at)
    )


def asks_for_gradients(test: Detour | None) -> bool:
    """Say whether a test leaves out what has no gradients: after a backward, not everything can be without."""
    return test is not None and any(
        isinstance(node, ast.Attribute) and node.attr == "grad" for node in ast.walk(test.statement.test)
    )


def scaled_step_since(state: State, at: Place) -> bool:
    """Say whether some optimizer stepped through a scaler after a place."""
    return any(step.what.endswith("through the scaler") for step in happened_since(state, at))


def detour(state: State, at: Place) -> Detour | None:
    """Return the test after a place that sent the path around a step or an update of the scaler."""
    found: list[Detour] = []
    for place, outcome in state.decisions:
        statement = _statement(place)
        if statement is None or not _comes_after(place, at) or not _goes_around(statement, place, outcome):
            continue
        found.append(Detour(place, _kind(place, statement), statement))
    return min(found, key=lambda item: ("health", "boundary", "other").index(item.kind)) if found else None


def guarded_alike(place: Place) -> bool:
    """Say whether a place runs only where a test about accumulation or health says so, as a later one may again."""
    parents = place.module.scopes.parents
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function | ast.For | ast.While):
        around = parents.get(node)
        if isinstance(around, ast.If) and node is not around.test:
            text = ast.unparse(around.test)
            if (_BOUNDARY.search(text) or _HEALTH.search(text)) and _varies(around.test):
                return True
        node = around
    return False


def _varies(test: ast.expr) -> bool:
    """Say whether a test may go differently from turn to turn; one of settings and constants alone does not."""
    inner = {node.value for node in ast.walk(test) if isinstance(node, ast.Attribute)}
    for node in ast.walk(test):
        match node:
            case ast.BinOp(op=ast.Mod()) | ast.Call():
                return True
            case ast.Name() if node not in inner:
                return True
            case ast.Attribute(value=ast.Name(id="self")) if node not in inner and not isinstance(test, ast.Compare):
                return True
    return False


def always_in_a_loop_without_step(place: Place) -> bool:
    """Say whether every turn of the loop around a place comes there, and none of them steps or updates a scaler."""
    parents = place.module.scopes.parents
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function | ast.If | ast.Try | ast.While | ast.Match):
        if isinstance(node, ast.For):
            return not _moves(node.body) and not isinstance(node.iter, ast.Tuple | ast.List)
        node = parents.get(node)
    return False


def _statement(place: Place) -> ast.If | None:
    """Return the `if` that a decision belongs to; its own test only, not what a function called in it decides."""
    parents = place.module.scopes.parents
    node: ast.AST | None = place.node
    while isinstance(node, ast.expr):
        node = parents.get(node)
    return node if isinstance(node, ast.If) else None


def _comes_after(place: Place, at: Place) -> bool:
    """Say whether a test stands after a place in the same function; one of another function may come at any time."""
    if _function(place) is not _function(at):
        return place.module is not at.module or not _nested(place, at)
    return place.line >= at.line


def _nested(place: Place, at: Place) -> bool:
    return _function(at) is None or _function(place) is None


def _function(place: Place) -> ast.AST | None:
    node: ast.AST | None = place.node
    while node is not None and not isinstance(node, Function):
        node = place.module.scopes.parents.get(node)
    return node


def _goes_around(statement: ast.If, place: Place, outcome: bool) -> bool:
    """Say whether the arm that was taken leaves, or the one that was not steps or updates a scaler."""
    for taken in _taken(statement, place, outcome):
        arm, other = (statement.body, statement.orelse) if taken else (statement.orelse, statement.body)
        if any(isinstance(node, _LEAVES) for node in arm):
            return True
        if _moves(other) and not _moves(arm):
            return True
    return False


def _taken(statement: ast.If, place: Place, outcome: bool) -> tuple[bool, ...]:
    """Return how the whole test may have gone where one part of it went that way."""
    node: ast.AST = place.node
    match node:
        case ast.Compare(ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=None)]):
            outcome = not outcome  # what was decided is whether it is None
    while node is not statement.test:
        node = place.module.scopes.parents[node]
        match node:
            case ast.UnaryOp(op=ast.Not()):
                outcome = not outcome
            case ast.BoolOp(op=ast.And()) if outcome:
                return (True, False)
            case ast.BoolOp(op=ast.Or()) if not outcome:
                return (True, False)
    return (outcome,)


def _moves(arm: list[ast.stmt]) -> bool:
    return any(moves_scaler(node, "step", "update") for statement in arm for node in ast.walk(statement))


def moves_scaler(node: ast.AST, *methods: str) -> bool:
    """Say whether a node calls such a method of what is called a scaler."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and vocabulary.called_like_scaler(last_name(node.func.value))
    )


def _kind(place: Place, statement: ast.If) -> Literal["health", "boundary", "other"]:
    text = ast.unparse(statement.test)
    if _HEALTH.search(text) or _NORM.search(text):
        return "health"
    return "boundary" if _BOUNDARY.search(text) else "other"
