"""Decides what each expression reads and binds, in the order in which Python evaluates it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.walking import children, walk
from stages.syntax.names import tests_of
from stages.syntax.names.resolve import BUILTINS, MODULE_NAMES, owners
from stages.syntax.names.scopes import How, mangled
from stages.syntax.names.state import State, join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages.syntax.names.scopes import Names, Scope, Use

Variable = tuple["Scope", str]
_LAZY_ANNOTATIONS = sys.version_info >= (3, 14)
_NOTHING_KNOWN = State()
_PARAMETERS = (How.PARAMETER, How.TYPE_PARAMETER)


@dataclass(slots=True)
class Reading:
    """A read of a tracked name, with what was seen of it on all paths."""

    variable: Variable
    use: Use
    node: ast.Name
    unbound: bool
    bound: bool


@dataclass(slots=True)
class Loop:
    """A loop around the current statement, with the states that left it or began it anew."""

    breaks: State | None = None
    continues: State | None = None


@dataclass(slots=True)
class Finally:
    """A `finally` block around the current statement, with the states that jump through it."""

    binds: int
    jumped: State | None = None


def no_answer(_test: ast.expr) -> bool | None:
    """Leave a test undecided."""
    return None


@dataclass(slots=True)
class Reads:
    """Follows names through expressions; `Flow` adds the statements.

    Args:
        bits: the bit of each tracked name.
        seen: for each read, the bits of what it met: (unbound, bound, which name).
        raised: for each `try` around, what its handlers may meet.
        decide: answers a test, to follow only the paths on which it holds or fails.
    """

    names: Names
    scope: Scope
    future: bool
    decide: Callable[[ast.expr], bool | None] = no_answer
    bits: dict[Variable, int] = field(default_factory=dict)
    state: State | None = _NOTHING_KNOWN
    seen: dict[ast.Name, tuple[int, int, Variable]] = field(default_factory=dict)
    frames: list[Loop | Finally] = field(default_factory=list)
    raised: list[State | None] = field(default_factory=list)

    def track(self, scope: Scope) -> State:
        """Give every name of a scope that can be unbound a bit; return the state in which the scope starts."""
        unbound = bound = 0
        for name, bindings in scope.bindings.items():
            if name in scope.foreign:
                continue  # another function binds it when it is called, which is not followed
            if scope.kind == "module" and (name in BUILTINS or name in MODULE_NAMES):
                continue
            real = [b for b in bindings if b.how not in (How.DECLARED, How.DELETED)]
            deleted = any(b.how in (How.DELETED, How.EXCEPTION) for b in bindings)
            if all(b.types_only for b in real):
                continue  # told as a name that does not exist
            if not deleted and any(b.how in _PARAMETERS for b in real):
                continue
            bit = self._bit((scope, name))
            if any(b.how in _PARAMETERS for b in real):
                bound |= bit
            else:
                unbound |= bit
        return State(unbound, bound)

    def _bit(self, variable: Variable) -> int:
        bit = self.bits.get(variable)
        if bit is None:
            bit = self.bits[variable] = 1 << len(self.bits)
        return bit

    def bind(self, name: str) -> None:
        if self.state is not None:
            self.state = self.state.binding(self._bit_of(name))

    def unbind(self, name: str) -> None:
        if self.state is not None:
            self.state = self.state.unbinding(self._bit_of(name))

    def _bit_of(self, name: str) -> int:
        name = self._mangled(name)
        scope = self.scope.module if name in self.scope.globals else self.scope
        return self.bits.get((scope, name), 0)

    def _mangled(self, name: str) -> str:
        if not name.startswith("__"):
            return name
        for scope in (self.scope, *self.scope.ancestors()):
            if scope.kind == "class":
                return mangled(name, scope.name)
        return name

    def read(self, node: ast.Name) -> None:
        """Look a name up: where it is unbound, an exception leaves from here, and what follows has it bound."""
        if self.state is None:
            return
        name = self._mangled(node.id)
        self.may_raise(likely=node not in self.names.use_of)  # a read that is no use expects a NameError
        for owner in owners(self.scope, name):
            bit = self.bits.get((owner, name), 0)
            if bit and owner.kind == "class" and (self.state.unbound | self.state.doubtful) & bit:
                self._read_through_class(node, name, bit)
                return
            if bit:
                self._note(node, bit, (owner, name))
                return
            if any(b.how is not How.DECLARED for b in owner.bindings.get(name, ())):
                return  # bound by something that is not followed here

    def _read_through_class(self, node: ast.Name, name: str, bit: int) -> None:
        """Read a class-level name that may be unbound: Python then looks in the module and the builtins."""
        assert self.state is not None
        module = self.scope.module
        outside = self.bits.get((module, name), 0)
        if name in BUILTINS or name in MODULE_NAMES:
            return
        if outside:
            if not self.state.bound & bit:
                self._note(node, outside, (module, name))
        elif name not in module.bindings or all(b.types_only for b in module.bindings[name]):
            self._note(node, bit, (self.scope, name))

    def _note(self, node: ast.Name, bit: int, variable: Variable) -> None:
        assert self.state is not None
        unbound, bound, doubtful = self.state
        if node in self.names.use_of:
            before = self.seen.get(node, (0, 0, variable))
            self.seen[node] = (before[0] | (unbound & bit), before[1] | (bound & bit), variable)
        if (unbound | doubtful) & bit:
            self.may_raise(likely=bool(unbound & bit))
            self.state = self.state.surviving(bit)

    def may_raise(self, *, likely: bool = True) -> None:
        """Let the handlers around see the state here. An unlikely exception proves no name unbound."""
        if self.state is not None and self.raised:
            seen = self.state if likely else self.state.doubted()
            self.raised[-1] = join(self.raised[-1], seen)

    def doubt(self) -> None:
        """Go on as if no name were unbound: what happens next is not known well enough."""
        if self.state is not None:
            self.state = self.state.doubted()

    def inline(self, scope: Scope, body: Callable[[], None]) -> None:
        """Run the body of a class or comprehension where it stands, its own names unbound at first."""
        outer, self.scope = self.scope, scope
        frames, self.frames = self.frames, []
        begins = self.track(scope).unbound
        if self.state is not None:
            self.state = self.state.fresh(begins)
        body()
        self.scope, self.frames = outer, frames

    def annotation(self, node: ast.expr | None) -> None:
        if node is not None and not self.future and not _LAZY_ANNOTATIONS:
            self.expr(node)

    def target(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self.bind(node.id)
        elif isinstance(node, ast.Tuple | ast.List):
            self.may_raise()
            for element in node.elts:
                self.target(element)
        elif isinstance(node, ast.Starred):
            self.target(node.value)
        else:
            self.expr(node)

    def defaults(self, arguments: ast.arguments) -> None:
        for value in (*arguments.defaults, *arguments.kw_defaults):
            if value is not None:
                self.expr(value)

    def expr(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.read(node)
        elif isinstance(node, ast.BoolOp | ast.IfExp | ast.Compare):
            holds, fails = self.condition(node)
            self.state = join(holds, fails)
        elif isinstance(node, ast.NamedExpr):
            self.expr(node.value)
            self._bind_walrus(node.target.id)
        elif isinstance(node, ast.Lambda):
            self.defaults(node.args)
        elif isinstance(node, ast.GeneratorExp):
            self.expr(node.generators[0].iter)
            self._walrus_later(node)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            self._comprehension(node)
        elif not isinstance(node, ast.Constant):
            for child in _in_order(node):
                self.expr(child)
            self.may_raise(likely=not isinstance(node, ast.expr_context | ast.JoinedStr | ast.Tuple | ast.List))

    def _bind_walrus(self, name: str) -> None:
        inner = self.scope
        while self.scope.kind == "comprehension" and self.scope.parent is not None:
            self.scope = self.scope.parent
        self.bind(name)
        self.scope = inner

    def _walrus_later(self, node: ast.GeneratorExp) -> None:
        """Take the names that a generator's := binds as bound: when it runs is not followed."""
        for part in walk(node):
            if isinstance(part, ast.NamedExpr):
                self._bind_walrus(part.target.id)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> None:
        self.expr(node.generators[0].iter)
        self.may_raise()
        scope = self.names.scope_of.get(node)
        if scope is None:
            return

        def body() -> None:
            before = self.state
            for position, generator in enumerate(node.generators):
                if position:
                    self.expr(generator.iter)
                self.target(generator.target)
                for test in generator.ifs:
                    self.state, _ = self.condition(test)
            parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
            for part in parts:
                self.expr(part)
            if self.state is None:
                self.state = before
            elif before is not None:
                ran = self.state
                self.state = State(ran.unbound, ran.bound | before.bound, ran.doubtful | before.doubted().doubtful)

        self.inline(scope, body)

    def condition(self, node: ast.expr) -> tuple[State | None, State | None]:
        """Evaluate a test; return the states in which it holds and in which it fails."""
        if isinstance(node, ast.BoolOp):
            return self._bool_op(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            holds, fails = self.condition(node.operand)
            return fails, holds
        if isinstance(node, ast.IfExp):
            yes, no = self.condition(node.test)
            self.state = yes
            first = self.condition(node.body)
            self.state = no
            second = self.condition(node.orelse)
            return join(first[0], second[0]), join(first[1], second[1])
        if isinstance(node, ast.Compare):
            self._compare(node)
        else:
            self.expr(node)
        verdict = tests_of.runs(tests_of.truth(node))
        if verdict is None:
            verdict = self.decide(node)
        if verdict is None:
            return self.state, self.state
        return (self.state, None) if verdict else (None, self.state)

    def _bool_op(self, node: ast.BoolOp) -> tuple[State | None, State | None]:
        is_and = isinstance(node.op, ast.And)
        left_early: State | None = None
        holds = fails = self.state
        for value in node.values:
            holds, fails = self.condition(value)
            if is_and:
                left_early, self.state = join(left_early, fails), holds
            else:
                left_early, self.state = join(left_early, holds), fails
        return (self.state, left_early) if is_and else (left_early, self.state)

    def _compare(self, node: ast.Compare) -> None:
        self.expr(node.left)
        self.expr(node.comparators[0])
        for later in node.comparators[1:]:
            short = self.state
            self.expr(later)
            self.state = join(short, self.state)
        self.may_raise(likely=False)


def _in_order(node: ast.AST) -> Iterable[ast.AST]:
    """Return what an expression evaluates, in order; of a dictionary a key, its value, then the next key."""
    if isinstance(node, ast.Dict):
        return [part for pair in zip(node.keys, node.values, strict=True) for part in pair if part is not None]
    return children(node)
