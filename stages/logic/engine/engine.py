"""The analysis of one project: shared knowledge, the walk from every start, and who hears of what happens."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stages._source.program.origins import lineage, origins
from stages._source.program.scopes import Function, parameters
from stages._source.testfiles import is_test_file
from stages.logic.engine.attempt import Attempt, Choices, Frame
from stages.logic.engine.contexts import enter, leave
from stages.logic.engine.events import GradsEdited
from stages.logic.engine.given import Given
from stages.logic.engine.handed import observe_gradients
from stages.logic.engine.names import receiver_of
from stages.logic.engine.protocol import Held
from stages.logic.engine.relevance import Relevance
from stages.logic.engine.state import Happened, State, merge
from stages.logic.engine.values import (
    NONE,
    Autocast,
    Callee,
    Const,
    Gradient,
    Instance,
    Items,
    Loop,
    NullContext,
    Optimizer,
    Params,
    Scaler,
    Tensor,
    Unknown,
    Value,
    fresh,
    key_of,
    matters,
)
from stages.logic.engine.walker import OutOfBudget, Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope
    from stages.logic.engine.events import Event
    from stages.logic.engine.place import Place
    from stages.logic.engine.values import Key
    from stages.logic.problems import Problem

    Check = Callable[[Event], Iterable[Problem]]

_DEEPEST = 7  # calls walked into
_MOST = 16  # ends of a callee that are kept
_CONTEXTS = ("autocast", "set_grad_enabled", "no_grad", "inference_mode")
_MAKERS = ("contextmanager", "asynccontextmanager")


@dataclass(frozen=True, slots=True)
class Visit:
    """A rule looked at a place on one path. `problem` is None where it had nothing to say."""

    problem: Problem | None
    decisions: tuple[tuple[Place, bool], ...]
    trail: Happened | None


class Engine:
    """What is known about a project while it is followed.

    Args:
        checks: for each kind of event, the rules that want to hear of it.
        names: of the functions that may matter when they are called; None: all of them.
    """

    def __init__(
        self,
        project: Project,
        checks: Mapping[type, Sequence[tuple[str, Check]]],
        names: frozenset[str] | None = None,
    ) -> None:
        self.project = project
        self.relevance = Relevance(project, names)
        self.visits: dict[tuple[str, ast.AST], list[Visit]] = defaultdict(list)
        self.walked: set[Scope] = set()  # functions that some walk went through
        self.unfinished: list[Scope] = []  # starts that took too long
        self.cut: set[Scope] = set()  # functions that only such starts went through
        self.starts = 0
        self.resolved: dict[str, Value] = {}
        self.globals: dict[tuple[Scope, str], Value] = {}
        self.bases: dict[Scope, frozenset[str]] = {}
        self.elsewhere: dict[tuple[Key, ast.AST], Value] = {}
        self._checks = checks
        self._modules: dict[Scope, Module] = {}
        self._enclosing: dict[Scope, bool] = {}  # whether functions are defined inside of one
        self._at_yield: list[list[tuple[Value, ...]]] = []

    def emit(self, event: Event, frame: Frame) -> None:
        """Let the rules look at what is about to happen."""
        if frame.quiet or self._only_a_test_leads_to(event, frame):
            return
        for rule, check in self._checks.get(type(event), ()):
            problems = [item for item in check(event) if not self._only_a_test_leads_to(item, frame)]
            for problem in problems or (None,):
                node = problem.place.node if problem else event.place.node
                visit = Visit(problem, event.state.decisions, event.state.trail)
                self.visits[(rule, node)].append(visit)

    def _only_a_test_leads_to(self, event: Event | Problem, frame: Frame) -> bool:
        """Say whether a test calls project code here: it may do so in ways that no training run would."""
        return self._led_by_a_test(frame, event.place.module)

    def _led_by_a_test(self, frame: Frame, module: Module) -> bool:
        """Say whether the walk started in a test and is in a module that is none."""
        start = self.module_of(frame.calls[0]) if frame.calls else None
        return start is not None and is_test_file(start.path) and not is_test_file(module.path)

    def module_of(self, scope: Scope) -> Module | None:
        root = scope.root()
        if root not in self._modules:
            module = self.project.named(root.module)
            if module is None:
                return None
            self._modules[root] = module
        return self._modules[root]

    def origins(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        return origins(self.project, node, scope)

    def bind(self, attempt: Attempt, name: str, value: Value) -> None:
        scope = attempt.frame.scope
        attempt.state.env[(scope if name in scope.bindings else scope.owner_of(name), name)] = value

    def stored_item(self, attempt: Attempt, base: Value, key: Value, value: Value, target: ast.expr) -> None:
        if isinstance(base, Gradient):
            place, state, how = attempt.frame.place(target), attempt.state.copy(), "an item assignment"
            event = GradsEdited(place=place, state=state, grads=base, how=how, linear=False, by_scale=False)
            self.emit(event, attempt.frame)
        attempt.state.heap[(key_of(base), key_of(key))] = value

    @staticmethod
    def comprehension_frame(frame: Frame, node: ast.AST) -> Frame:
        """Return a frame that reads and binds names in the comprehension's own scope."""
        scope = frame.scope.inner.get(node)
        return frame if scope is None else replace(frame, scope=scope)

    def element_of(self, value: Value, node: ast.comprehension) -> Value:
        """Return what one element of an iterable is."""
        if isinstance(value, Params | Gradient):
            return value
        if isinstance(value, Items) and value.values:
            return value.values[0]
        return Loop(node, 0)

    def collected(self, result: Value, node: ast.AST) -> Value:
        """Return what a comprehension of such elements is."""
        return result if isinstance(result, Params | Gradient) else fresh("built", node)

    def yielded(self, attempt: Attempt, node: ast.AST) -> None:
        if self._at_yield:
            contexts = tuple(active.context for active in attempt.state.contexts)
            self._at_yield[-1].append(contexts)

    def grads_replaced(self, attempt: Attempt, params: Params, value: Value, target: ast.expr) -> None:
        """`p.grad = ...`: cleared by None; anything else may be an unscaled copy."""
        held = Held()
        if value != NONE:
            place, state, how = attempt.frame.place(target), attempt.state.copy(), "an assignment"
            grads = Gradient(params.of)
            event = GradsEdited(place=place, state=state, grads=grads, how=how, linear=False, by_scale=False)
            self.emit(event, attempt.frame)
        attempt.state.protocol = attempt.state.protocol.with_grads(None, held)

    def grads_edited(self, attempt: Attempt, event: Event) -> None:
        self.emit(event, attempt.frame)
        if getattr(event, "by_scale", False):
            attempt.state.protocol = attempt.state.protocol.with_grads(None, Held())

    def property_value(self, walker: Walker, attempt: Attempt, scope: Scope, value: Instance, node: ast.AST) -> Value:
        """Return what a property gives: the same each time, unless it makes something of AMP."""
        if not self.relevance.of(scope):
            return Unknown(("attribute", value.key, scope.qualname))
        call = ast.copy_location(ast.Call(func=node, args=[], keywords=[]), node)  # type: ignore[arg-type]
        found = self.inline(walker, attempt, _nothing_given(call), Callee(scope, value))
        return found if matters(found) else Unknown(("attribute", value.key, scope.qualname))

    def inline(self, walker: Walker, attempt: Attempt, given: Given, callee: Callee) -> Value:
        """Walk into a function of the project; the path goes on from each of its ends."""
        scope = callee.scope
        frame = attempt.frame
        module = self.module_of(scope)
        if not isinstance(scope.node, Function) or module is None or not self._worth(scope, frame, given):
            observe_gradients(walker, attempt, given, scope.qualname)
            return self._passed_over(given)
        through = (*frame.through, frame.place(given.node))
        inside = Frame(scope, module, (*frame.calls, scope), (), frame.open_loops, frame.quiet, through)
        maker = any(_last(item) in _MAKERS for item in scope.node.decorator_list)
        ends = attempt.choose(lambda: self._ends(walker, attempt, given, callee, inside, maker=maker))
        value, state = ends
        attempt.state = state.copy()
        return value

    def _worth(self, scope: Scope, frame: Frame, given: Given) -> bool:
        if scope in frame.calls or len(frame.calls) >= _DEEPEST:
            return False
        return self.relevance.of(scope) or any(
            isinstance(value, Tensor | Scaler | Optimizer) for value in given.every()
        )

    @staticmethod
    def _passed_over(given: Given) -> Value:
        scaled = any(isinstance(value, Tensor) for value in given.every())
        return fresh("call-maybe-scaled" if scaled else "call", given.node)

    def _ends(
        self, walker: Walker, attempt: Attempt, given: Given, callee: Callee, inside: Frame, *, maker: bool
    ) -> list[tuple[Value, State]]:
        if not inside.quiet and not self._led_by_a_test(inside, inside.module):
            self.walked.add(callee.scope)
        node = callee.scope.node
        assert isinstance(node, Function)
        state = attempt.state.copy()
        before = len(state.contexts)
        self._bind_parameters(walker, state, given, callee, inside)
        entered = Attempt(state, inside, Choices(), [])
        for decorator in node.decorator_list:
            self._decorate(walker, entered, decorator)
        if maker:
            self._at_yield.append([])
        flow = walker.block(node.body, [entered.state], inside)
        ends = [*flow.returns, *((NONE, end) for end in flow.normal)]
        if maker:
            seen = self._at_yield.pop()
            made = Items(seen[0][before:], "tuple") if seen else Items(())
            ends = [(made, end) for _, end in ends]
        for _, end in [*ends, *((NONE, end) for end in flow.raises)]:
            leave(walker, end, before, inside, node)
            self._forget_locals(end, callee.scope)
        attempt.raised += flow.raises
        return _merged_ends(ends, given.node)

    def _decorate(self, walker: Walker, attempt: Attempt, decorator: ast.expr) -> None:
        """Enter `@autocast(...)` and `@torch.no_grad()`, which hold while the function runs."""
        if not isinstance(decorator, ast.Call) or _last(decorator) not in _CONTEXTS:
            return
        inside = attempt.frame
        attempt.frame = replace(inside, scope=inside.scope.parent or inside.scope, quiet=True)
        value = walker.evaluate(attempt, decorator)
        attempt.frame = inside
        if isinstance(value, Autocast | NullContext):
            enter(walker, attempt, value, decorator)

    def _bind_parameters(self, walker: Walker, state: State, given: Given, callee: Callee, inside: Frame) -> None:
        node = callee.scope.node
        assert isinstance(node, Function)
        positional = list(given.args)
        if callee.receiver is not None and not _is_static(node):
            positional.insert(0, callee.receiver)
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        for argument, default in parameters(node):
            name = argument.arg
            key = (callee.scope, name)
            if name in given.keywords:
                state.env[key] = given.keywords[name]
            elif name in names and names.index(name) < len(positional):
                state.env[key] = positional[names.index(name)]
            elif default is not None and given.whole:
                state.env[key] = self._default(walker, default, callee.scope, inside)
            elif node.args.vararg is not None and argument is node.args.vararg:
                state.env[key] = Items(tuple(positional[len(names) :]), "tuple")
            else:
                state.env[key] = fresh("parameter", callee.scope, name)

    def _default(self, walker: Walker, default: ast.expr, scope: Scope, inside: Frame) -> Value:
        if isinstance(default, ast.Constant) and not isinstance(default.value, type(...)):
            return Const(default.value)
        return Unknown(("default", scope, ast.dump(default)))

    def _forget_locals(self, state: State, scope: Scope) -> None:
        """Locals of a function that returned; those that a function inside of it may read stay."""
        if scope not in self._enclosing:
            inside = (node for node, inner in scope.inner.items() if inner.parent is scope)
            self._enclosing[scope] = any(isinstance(node, Function | ast.Lambda) for node in inside)
        if not self._enclosing[scope]:
            for key in [key for key in state.env if key[0] is scope]:
                del state.env[key]


def entry_state(engine: Engine, scope: Scope) -> State:
    """Return the state in which a start is entered: its parameters are unknown, `self` is some object of its class."""
    state = State()
    node = scope.node
    if isinstance(node, Function):
        instance = receiver_of(scope)
        for position, (argument, _) in enumerate(parameters(node)):
            key = (scope, argument.arg)
            state.env[key] = instance if instance and position == 0 else Unknown(("parameter", scope, argument.arg))
    return state


def walk(engine: Engine, scope: Scope) -> list[State]:
    """Walk from one start: a function, a method after its object's `__init__`, or a module's own code.

    Returns:
        How its paths end; nothing where following it took too long.
    """
    module = engine.module_of(scope)
    ends: list[State] = []
    if module is None:
        return ends
    engine.starts += 1
    node = scope.node
    body = node.body if isinstance(node, Function | ast.Module) else []
    walker = Walker(engine, from_test=is_test_file(module.path))
    engine.walked.add(scope)
    walked_before = set(engine.walked)
    frame = Frame(scope, module, (scope,))
    try:
        for state in _after_init(engine, walker, scope, entry_state(engine, scope)):
            started = Attempt(state, frame, Choices(), [])
            for decorator in node.decorator_list if isinstance(node, Function) else ():
                engine._decorate(walker, started, decorator)
            reached = walker.start(list(body), started.state, frame)
            for end in reached:
                leave(walker, end, 0, frame, node)
            ends += reached
    except OutOfBudget:
        engine.unfinished.append(scope)
        engine.cut |= engine.walked - walked_before  # not to the end, so each of them is worth a walk of its own
        engine.walked = walked_before
    return ends


def _after_init(engine: Engine, walker: Walker, scope: Scope, state: State) -> list[State]:
    """Run `__init__` of the object whose method is the start, so that `self.scaler` is what it made it."""
    instance = receiver_of(scope)
    if instance is None or not isinstance(scope.node, Function) or scope.node.name == "__init__":
        return [state]
    module = engine.module_of(scope)
    for cls in lineage(engine.project, instance.scope):
        for binding in cls.bindings.get("__init__", []):
            init = binding.scope.inner.get(binding.node)
            if module is None or init is None or not isinstance(init.node, Function) or not engine.relevance.of(init):
                return [state]
            return _initialised(
                engine, walker, state, Frame(scope, module, (scope,), quiet=True), Callee(init, instance)
            )
    return [state]


def _initialised(engine: Engine, walker: Walker, state: State, frame: Frame, init: Callee) -> list[State]:
    node = init.scope.node
    call = ast.Call(func=ast.Name("__init__", ast.Load()), args=[], keywords=[])
    given = _unknown_arguments(ast.copy_location(call, node), init.scope)
    ends = walker.ways(state, frame, lambda attempt: engine.inline(walker, attempt, given, init), [])
    return _started(merge([end for _, end in ends], node, _MOST))


def _started(states: list[State]) -> list[State]:
    for state in states:
        state.trail = None
        state.decisions = ()
    return states


def _merged_ends(ends: list[tuple[Value, State]], node: ast.AST) -> list[tuple[Value, State]]:
    """Join the ends of a callee that bring the same value, and those whose value does not matter."""
    groups: dict[object, list[tuple[Value, State]]] = {}
    for value, state in ends:
        groups.setdefault(value if matters(value) or value == NONE or isinstance(value, Const) else None, []).append(
            (value, state)
        )
    found: list[tuple[Value, State]] = []
    for group in groups.values():
        merged = merge([state for _, state in group], node, _MOST)
        value = group[0][0] if all(item == group[0][0] for item, _ in group) else fresh("call", node)
        found += [(value, state) for state in merged]
    return found[:_MOST]


def _is_static(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)


def _last(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _nothing_given(call: ast.Call) -> Given:
    return Given(call, (), {}, True, False)


def _unknown_arguments(call: ast.Call, init: Scope) -> Given:
    assert isinstance(init.node, Function)
    names = [argument.arg for argument, _ in parameters(init.node)][1:]
    return Given(call, (), {name: Unknown(("parameter", init, name)) for name in names}, True, False)
