"""Follows a function statement by statement with every path that can be told apart, loops twice, calls included."""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stages._source.testfiles import is_test_file
from stages.logic.engine.attempt import Attempt, Choices, Frame, PathEnds
from stages.logic.engine.contexts import enter, leave
from stages.logic.engine.events import FunctionLeft, LoopAgain
from stages.logic.engine.expressions import assign, branch, evaluate, forget_target
from stages.logic.engine.state import State, merge
from stages.logic.engine.values import FALSE, NONE, TRUE, Callee, Items, Loop, Params, Unknown, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stages.logic.engine.engine import Engine

_MOST = 24  # paths kept at one point
_TURNS = 3  # of a loop: the second shows what the first left behind, the third what stays
_ERROR_TESTS = ("raises", "assertRaises", "assertRaisesRegex", "warns")
_BUDGET = 8_000  # statements of one start, calls included
_TESTED = 8  # what one costs that only a test leads to: no rule hears of it, and many tests go through all of a trainer


class OutOfBudget(Exception):  # noqa: N818 - a limit, not a fault
    """Following this start takes too long; what was found so far stands."""


@dataclass(slots=True)
class Flow:
    """How paths leave a piece of code."""

    normal: list[State] = field(default_factory=list)
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)
    returns: list[tuple[Value, State]] = field(default_factory=list)
    raises: list[State] = field(default_factory=list)

    def take(self, other: Flow) -> None:
        """Add everything but the normal ends of another piece."""
        self.breaks += other.breaks
        self.continues += other.continues
        self.returns += other.returns
        self.raises += other.raises

    def every(self) -> Iterable[State]:
        yield from (*self.normal, *self.breaks, *self.continues, *self.raises, *(state for _, state in self.returns))


class Walker:
    """Walks from one start. `spent` counts statements over all paths."""

    def __init__(self, engine: Engine, *, from_test: bool = False) -> None:
        self.engine = engine
        self.from_test = from_test
        self.spent = 0

    def evaluate(self, attempt: Attempt, node: ast.expr) -> Value:
        """Return what an expression stands for; see `expressions.evaluate`."""
        return evaluate(self, attempt, node)

    def assign(self, attempt: Attempt, target: ast.expr, value: Value) -> None:
        """Bind a target; see `expressions.assign`."""
        assign(self, attempt, target, value)

    def start(self, body: Sequence[ast.stmt], state: State, frame: Frame) -> list[State]:
        """Walk a function or module from its first statement; return how its paths end."""
        flow = self.block(body, [state], frame)
        ends = [*flow.normal, *(state for _, state in flow.returns)]
        where = body[-1] if body else frame.scope.node
        for how, states in (("return", ends), ("raise", flow.raises)):
            for end in states:
                self.engine.emit(FunctionLeft(place=frame.place(where), state=end, how=how), frame)  # type: ignore[arg-type]
        return ends

    def block(self, body: Iterable[ast.stmt], states: list[State], frame: Frame) -> Flow:
        flow = Flow(normal=states)
        for node in body:
            if not flow.normal:
                break
            here = Flow()
            for state in flow.normal:
                step = self.statement(node, state, frame)
                here.normal += step.normal
                here.take(step)
            flow.normal = merge(here.normal, node, _MOST)
            flow.take(here)
        return flow

    def statement(self, node: ast.stmt, state: State, frame: Frame) -> Flow:
        self.spent += _TESTED if self.from_test and not is_test_file(frame.module.path) else 1
        if self.spent > _BUDGET:
            raise OutOfBudget
        match node:
            case ast.If():
                return self._if(node, state, frame)
            case ast.For() | ast.AsyncFor():
                return self._for(node, state, frame)
            case ast.While():
                return self._while(node, state, frame)
            case ast.With() | ast.AsyncWith():
                return self._with(node, state, frame)
            case ast.Try() | ast.TryStar():
                return self._try(node, state, frame)
            case ast.Match():
                return self._match(node, state, frame)
            case ast.Return():
                return self._return(node, state, frame)
            case ast.Raise():
                return Flow(raises=[state])
            case ast.Break() | ast.Continue():
                return Flow(breaks=[state]) if isinstance(node, ast.Break) else Flow(continues=[state])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return Flow(normal=[_defined_again(node, state, frame)])
            case ast.ClassDef() | ast.Import() | ast.ImportFrom():
                return Flow(normal=[state])
        return self._simple(node, state, frame)

    def ways(
        self, state: State, frame: Frame, action: Callable[[Attempt], Value], raised: list[State]
    ) -> list[tuple[Value, State]]:
        """Evaluate something once for every way through the forks inside it."""
        choices = Choices()
        found: list[tuple[Value, State]] = []
        while True:
            attempt = Attempt(state.copy(), frame, choices, raised)
            with suppress(PathEnds):
                found.append((action(attempt), attempt.state))
            if len(found) >= _MOST or not choices.advance():
                return found

    def _simple(self, node: ast.stmt, state: State, frame: Frame) -> Flow:
        flow = Flow()

        def action(attempt: Attempt) -> Value:
            self._effect(node, attempt)
            return NONE

        flow.normal = [end for _, end in self.ways(state, frame, action, flow.raises)]
        return flow

    def _effect(self, node: ast.stmt, attempt: Attempt) -> None:
        match node:
            case ast.Expr(value=value):
                evaluate(self, attempt, value, dropped=True)
            case ast.Assign(targets=targets, value=value):
                result = evaluate(self, attempt, value)
                for target in targets:
                    assign(self, attempt, target, result)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                assign(self, attempt, target, evaluate(self, attempt, value))
            case ast.AugAssign():
                self._augmented(node, attempt)
            case ast.Delete(targets=targets):
                for target in targets:
                    forget_target(attempt, target)
            case ast.Assert(test=test):
                if not branch(self, attempt, test):
                    raise PathEnds

    def _augmented(self, node: ast.AugAssign, attempt: Attempt) -> None:
        read = ast.copy_location(_as_read(node.target), node.target)
        whole = ast.copy_location(ast.BinOp(left=read, op=node.op, right=node.value), node)
        value = evaluate(self, attempt, whole, in_place=True)
        assign(self, attempt, node.target, value)

    def _return(self, node: ast.Return, state: State, frame: Frame) -> Flow:
        flow = Flow()
        if node.value is None:
            flow.returns.append((NONE, state))
            return flow
        wanted = node.value
        flow.returns = self.ways(state, frame, lambda attempt: evaluate(self, attempt, wanted), flow.raises)
        return flow

    def _if(self, node: ast.If, state: State, frame: Frame) -> Flow:
        flow = Flow()
        for outcome, end in self._tested(node.test, state, frame, flow):
            arm = self.block(node.body if outcome else node.orelse, [end], frame)
            flow.normal += arm.normal
            flow.take(arm)
        return flow

    def _tested(self, test: ast.expr, state: State, frame: Frame, flow: Flow) -> list[tuple[bool, State]]:
        def action(attempt: Attempt) -> Value:
            return TRUE if branch(self, attempt, test) else FALSE

        return [(value == TRUE, end) for value, end in self.ways(state, frame, action, flow.raises)]

    def _for(self, node: ast.For | ast.AsyncFor, state: State, frame: Frame) -> Flow:
        flow = Flow()
        inside = self._inside(node, frame)
        for value, start in self.ways(state, frame, lambda attempt: evaluate(self, attempt, node.iter), flow.raises):
            if isinstance(value, Items) and 0 < len(value.values) <= 6:
                self._unrolled(node, list(value.values), start, inside, flow)
            else:
                self._turns(node, start, inside, flow, lambda turn, value=value: _element(node, value, turn))  # type: ignore[misc]
        flow.normal = merge(flow.normal, node, _MOST)
        return flow

    def _unrolled(
        self, node: ast.For | ast.AsyncFor, values: Sequence[Value], start: State, inside: Frame, flow: Flow
    ) -> None:
        """Go through elements that are known one by one, as through a list of two optimizers."""
        states = [start]
        for value in values:
            bound = self._bound(node.target, value, states, inside)
            body = self.block(node.body, bound, inside)
            flow.normal += body.breaks
            flow.returns += body.returns
            flow.raises += body.raises
            states = merge([*body.normal, *body.continues], node, _MOST)
        self._after(node, states, inside, flow)

    def _turns(
        self, node: ast.For | ast.AsyncFor, start: State, inside: Frame, flow: Flow, element: Callable[[int], Value]
    ) -> None:
        heads, ends, seen = [start], [], set()
        for turn in range(_TURNS):
            bound = self._bound(node.target, element(turn), heads, inside)
            body = self.block(node.body, bound, inside)
            flow.normal += body.breaks
            flow.returns += body.returns
            flow.raises += body.raises
            after = merge([*body.normal, *body.continues], node, _MOST)
            ends += after
            heads = [state for state in after if state.signature() not in seen]
            seen |= {state.signature() for state in heads}
            if not heads:
                break
            self._again(node, heads, inside)
        self._after(node, merge(ends, node, _MOST), inside, flow)

    def _again(self, node: ast.stmt, heads: Iterable[State], inside: Frame) -> None:
        for state in heads:
            self.engine.emit(LoopAgain(place=inside.place(node), state=state, loop=node), inside)

    def _after(self, node: ast.For | ast.AsyncFor | ast.While, states: list[State], inside: Frame, flow: Flow) -> None:
        outside = self._outside(inside)
        rest = self.block(node.orelse, states, outside)
        flow.normal += rest.normal
        flow.take(rest)

    def _bound(self, target: ast.expr, value: Value, states: Iterable[State], frame: Frame) -> list[State]:
        def action(attempt: Attempt) -> Value:
            assign(self, attempt, target, value)
            return NONE

        return [end for state in states for _, end in self.ways(state, frame, action, [])]

    def _while(self, node: ast.While, state: State, frame: Frame) -> Flow:
        flow = Flow()
        inside = self._inside(node, frame)
        heads, ends, seen = [state], [], set()
        for turn in range(_TURNS):
            tested = [item for head in heads for item in self._tested(node.test, head, inside, flow)]
            entered = [end for outcome, end in tested if outcome]
            if turn or not entered:  # a training loop runs at least once
                ends += [end for outcome, end in tested if not outcome]
            body = self.block(node.body, merge(entered, node, _MOST), inside)
            flow.normal += body.breaks
            flow.returns += body.returns
            flow.raises += body.raises
            after = merge([*body.normal, *body.continues], node, _MOST)
            heads = [end for end in after if end.signature() not in seen]
            seen |= {end.signature() for end in heads}
            if not heads:
                break
            self._again(node, heads, inside)
        if not _is_endless(node.test):
            ends += heads
        self._after(node, merge(ends, node, _MOST), inside, flow)
        flow.normal = merge(flow.normal, node, _MOST)
        return flow

    def _with(self, node: ast.With | ast.AsyncWith, state: State, frame: Frame) -> Flow:
        flow = Flow()
        before = len(state.contexts)

        def action(attempt: Attempt) -> Value:
            for item in node.items:
                value = evaluate(self, attempt, item.context_expr)
                entered = enter(self, attempt, value, item.context_expr)
                if item.optional_vars is not None:
                    assign(self, attempt, item.optional_vars, entered)
            return NONE

        within = replace(frame, quiet=True) if _expects_an_error(node) else frame
        for _, inside in self.ways(state, frame, action, flow.raises):
            body = self.block(node.body, [inside], within)
            for end in body.every():
                leave(self, end, before, frame, node)
            flow.normal += body.normal
            flow.take(body)
        flow.normal = merge(flow.normal, node, _MOST)
        return flow

    def _try(self, node: ast.Try | ast.TryStar, state: State, frame: Frame) -> Flow:
        """Start handlers where the body starts, or where it raises by itself: no call is guessed to fail midway."""
        inner = self.block(node.body, [state.copy()], frame)
        rest = self.block(node.orelse, inner.normal, frame) if node.orelse else Flow(normal=inner.normal)
        flow = Flow(normal=list(rest.normal))
        flow.take(rest)
        raised, inner.raises = inner.raises, []
        flow.take(inner)
        if node.handlers:
            entries = merge([state, *raised], node, _MOST)
            for handler in node.handlers:
                handled = self.block(handler.body, [item.copy() for item in entries], frame)
                flow.normal += handled.normal
                flow.take(handled)
        else:
            flow.raises += raised
        flow.normal = merge(flow.normal, node, _MOST)
        return self._finally(node.finalbody, flow, frame) if node.finalbody else flow

    def _finally(self, body: Sequence[ast.stmt], flow: Flow, frame: Frame) -> Flow:
        out = Flow()

        def through(states: list[State]) -> list[State]:
            last = self.block(body, states, frame)
            out.take(last)
            return last.normal

        out.normal = through(flow.normal)
        for name in ("breaks", "continues", "raises"):
            waiting: list[State] = getattr(flow, name)
            getattr(out, name).extend(through(waiting) if waiting else [])
        for value, state in flow.returns:
            out.returns += [(value, end) for end in through([state])]
        return out

    def _match(self, node: ast.Match, state: State, frame: Frame) -> Flow:
        flow = Flow()
        matched = any(isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None for case in node.cases)
        if not matched:
            flow.normal.append(state.copy())
        for case in node.cases:
            arm = self.block(case.body, [state.copy()], frame)
            flow.normal += arm.normal
            flow.take(arm)
        flow.normal = merge(flow.normal, node, _MOST)
        return flow

    @staticmethod
    def _inside(node: ast.AST, frame: Frame) -> Frame:
        return replace(frame, loops=(*frame.loops, node))

    @staticmethod
    def _outside(frame: Frame) -> Frame:
        return replace(frame, loops=frame.loops[:-1])


def _element(node: ast.For | ast.AsyncFor, value: Value, turn: int) -> Value:
    """Return what the loop variable holds."""
    if isinstance(value, Params):
        return value
    if isinstance(value, Unknown) and value.key[0] == "enumerated":
        inner = value.key[1]
        element: Value = inner if isinstance(inner, Params) else Loop(node, turn)
        return Items((Unknown(("index", node, turn)), element), "tuple")
    return Loop(node, turn)


def _as_read(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name(id=name):
            return ast.Name(id=name, ctx=ast.Load())
        case ast.Attribute(value=value, attr=attr):
            return ast.Attribute(value=value, attr=attr, ctx=ast.Load())
        case ast.Subscript(value=value, slice=index):
            return ast.Subscript(value=value, slice=index, ctx=ast.Load())
    return target


def _defined_again(node: ast.FunctionDef | ast.AsyncFunctionDef, state: State, frame: Frame) -> State:
    """Bind a name that stands for several functions to the one that was defined on this path."""
    scope = frame.scope
    if len(scope.bindings.get(node.name, ())) < 2 or node not in scope.inner:
        return state
    bound = state.copy()
    bound.env[(scope, node.name)] = Callee(scope.inner[node])
    return bound


def _expects_an_error(node: ast.With | ast.AsyncWith) -> bool:
    """Say whether a test wants its block to fail: what is wrong in it is meant."""
    called = [item.context_expr.func for item in node.items if isinstance(item.context_expr, ast.Call)]
    return any(isinstance(func, ast.Attribute) and func.attr in _ERROR_TESTS for func in called)


def _is_endless(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)
