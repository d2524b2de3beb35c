"""Decides for each read of a name whether it is bound there: on every path, on some, or on none."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.typetext import last_word
from stages._source.walking import children, walk
from stages.syntax.names import tests_of
from stages.syntax.names.resolve import BUILTINS, MODULE_NAMES, owners
from stages.syntax.names.scopes import How, mangled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages.syntax.names.scopes import Names, Scope, Use

# One bit a name in each: some path leaves it unbound, some path leaves it bound. None: nothing gets here.
State = tuple[int, int]
Variable = tuple["Scope", str]

_LEAVING = re.compile(
    r"(_?exit|abort|fail|skip|skip_?test|xfail|quit|die|fatal|panic|usage|throw|reraise|bail|unreachable|assert_never"
    r"|execv|execve|execvp|execvpe|execl|execlp|raise_\w+|_raise\w*|\w+_exit|exit_\w+|fail_\w+|abort_\w+|print_usage\w*)\Z"
)
_PARSER = re.compile(r"parser|argp|\bap\b|ctx|click", re.IGNORECASE)
_LAZY_ANNOTATIONS = sys.version_info >= (3, 14)
_SIMPLE = (ast.Constant, ast.Name)


def join(first: State | None, second: State | None) -> State | None:
    if first is None:
        return second
    if second is None:
        return first
    return first[0] | second[0], first[1] | second[1]


@dataclass(slots=True)
class Reading:
    """A read of a tracked name, with what was seen of it on all paths."""

    variable: Variable
    use: Use
    node: ast.Name
    unbound: bool
    bound: bool


@dataclass(slots=True)
class _Loop:
    breaks: State | None = None
    continues: State | None = None


@dataclass(slots=True)
class _Finally:
    binds: int
    jumped: State | None = None


@dataclass(slots=True)
class Flow:
    """Runs through the statements of one module or function, class bodies and comprehensions in it included."""

    names: Names
    scope: Scope
    future: bool
    bits: dict[Variable, int] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    state: State | None = (0, 0)
    seen: dict[ast.Name, tuple[int, int, Variable]] = field(default_factory=dict)
    frames: list[_Loop | _Finally] = field(default_factory=list)
    raised: list[State | None] = field(default_factory=list)
    decide: Callable[[ast.expr], bool | None] = lambda _test: None

    # -- entry

    def run(self, node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> list[Reading]:
        """Return the reads that may find their name unbound."""
        self.state = self._track(self.scope)
        self.block(node.body)
        return [
            Reading(variable, self.names.use_of[name], name, bool(unbound), bool(bound))
            for name, (unbound, bound, variable) in self.seen.items()
            if unbound
        ]

    def _track(self, scope: Scope) -> State:
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
            if not deleted and any(b.how in (How.PARAMETER, How.TYPE_PARAMETER) for b in real):
                continue
            bit = self._bit((scope, name))
            if any(b.how in (How.PARAMETER, How.TYPE_PARAMETER) for b in real):
                bound |= bit
            else:
                unbound |= bit
        return unbound, bound

    def _bit(self, variable: Variable) -> int:
        bit = self.bits.get(variable)
        if bit is None:
            bit = self.bits[variable] = 1 << len(self.variables)
            self.variables.append(variable)
        return bit

    # -- state

    def bind(self, name: str) -> None:
        if self.state is None:
            return
        scope = self._binding_scope(name)
        bit = self.bits.get((scope, self._mangled(name)), 0)
        unbound, bound = self.state
        if bit & (unbound | bound):
            self.state = unbound & ~bit, bound | bit

    def unbind(self, name: str) -> None:
        if self.state is None:
            return
        bit = self.bits.get((self._binding_scope(name), self._mangled(name)), 0)
        unbound, bound = self.state
        if bit & (unbound | bound):
            self.state = unbound | bit, bound & ~bit

    def _binding_scope(self, name: str) -> Scope:
        scope = self.scope
        return scope.module if self._mangled(name) in scope.globals else scope

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
            if bit and owner.kind == "class" and self.state[0] & bit:
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
            if not self.state[1] & bit:
                self._note(node, outside, (module, name))
        elif name not in module.bindings or all(b.types_only for b in module.bindings[name]):
            self._note(node, bit, (self.scope, name))

    def _note(self, node: ast.Name, bit: int, variable: Variable) -> None:
        assert self.state is not None
        unbound, bound = self.state
        if node in self.names.use_of:
            before = self.seen.get(node, (0, 0, variable))
            self.seen[node] = (before[0] | (unbound & bit), before[1] | (bound & bit), variable)
        if unbound & bit:
            self.may_raise()
            self.state = unbound & ~bit, bound

    def may_raise(self, *, likely: bool = True) -> None:
        """Let the handlers around see the state here. An unlikely exception proves no name unbound."""
        if self.state is not None and self.raised:
            seen = self.state if likely else (0, self.state[1])
            self.raised[-1] = join(self.raised[-1], seen)

    def doubt(self) -> None:
        """Go on as if no name were unbound: what happens next is not known well enough."""
        if self.state is not None:
            self.state = (0, self.state[1])

    # -- statements

    def block(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if self.state is None:
                return
            visit = _STATEMENTS.get(type(statement))
            if visit is not None:
                visit(self, statement)
            else:
                for child in children(statement):
                    if isinstance(child, ast.expr):
                        self.expr(child)

    def expression(self, node: ast.Expr) -> None:
        self.expr(node.value)
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call) and self._may_leave(value):
            self.doubt()

    def _may_leave(self, call: ast.Call) -> bool:
        word = last_word(call.func)
        if word in self.names.never_return or _LEAVING.match(word):
            return True
        if word == "error":
            return isinstance(call.func, ast.Name) or bool(_PARSER.search(ast.unparse(call.func)))
        return False

    def assign(self, node: ast.Assign) -> None:
        self.expr(node.value)
        for target in node.targets:
            self.target(target)

    def aug_assign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target)
        self.expr(node.value)
        self.may_raise()
        self.target(node.target)

    def ann_assign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.expr(node.value)
            self.target(node.target)
        if not self.scope.is_function:
            self.annotation(node.annotation)

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

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._delete(target)

    def _delete(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self.read(node)
            self.unbind(node.id)
        elif isinstance(node, ast.Tuple | ast.List):
            for element in node.elts:
                self._delete(element)
        else:
            self.expr(node)

    def import_(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.may_raise()
            if alias.name == "*":
                self.doubt()
                if self.state is not None:
                    everything = (1 << len(self.variables)) - 1
                    self.state = (0, everything)
            else:
                self.bind(alias.asname or alias.name.partition(".")[0])

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator)
        self.defaults(node.args)
        if not getattr(node, "type_params", None):
            for argument in walk(node.args):
                if isinstance(argument, ast.arg):
                    self.annotation(argument.annotation)
            self.annotation(node.returns)
        if node.decorator_list:
            self.may_raise()
        self.bind(node.name)

    def defaults(self, arguments: ast.arguments) -> None:
        for value in (*arguments.defaults, *arguments.kw_defaults):
            if value is not None:
                self.expr(value)

    def class_(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator)
        for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self.expr(base)
        self.may_raise()
        self._inline(self.names.scope_of[node], lambda: self.block(node.body))
        self.may_raise(likely=bool(node.bases or node.keywords or node.decorator_list))
        self.bind(node.name)

    def _inline(self, scope: Scope, body: Callable[[], None]) -> None:
        """Run the body of a class or comprehension where it stands, its own names unbound at first."""
        outer, self.scope = self.scope, scope
        frames, self.frames = self.frames, []
        mask, _ = self._track(scope)
        if self.state is not None:
            self.state = self.state[0] | mask, self.state[1] & ~mask
        body()
        self.scope, self.frames = outer, frames

    def return_(self, node: ast.Return) -> None:
        if node.value is not None:
            self.expr(node.value)
        self._jump(lambda frame: False)
        self.state = None

    def raise_(self, node: ast.Raise) -> None:
        for part in (node.exc, node.cause):
            if part is not None:
                self.expr(part)
        self.may_raise()
        self.state = None

    def break_(self, _node: ast.Break) -> None:
        loop = self._jump(lambda frame: isinstance(frame, _Loop))
        if isinstance(loop, _Loop):
            loop.breaks = join(loop.breaks, self.state)
        self.state = None

    def continue_(self, _node: ast.Continue) -> None:
        loop = self._jump(lambda frame: isinstance(frame, _Loop))
        if isinstance(loop, _Loop):
            loop.continues = join(loop.continues, self.state)
        self.state = None

    def _jump(self, stops: Callable[[_Loop | _Finally], bool]) -> _Loop | _Finally | None:
        """Leave blocks outwards up to a loop, through the `finally` blocks on the way."""
        for frame in reversed(self.frames):
            if stops(frame):
                return frame
            if isinstance(frame, _Finally):
                frame.jumped = join(frame.jumped, self.state)
                if self.state is not None:
                    self.state = self.state[0] & ~frame.binds, self.state[1] | frame.binds
        return None

    def assert_(self, node: ast.Assert) -> None:
        holds, fails = self.condition(node.test)
        self.state = fails
        if node.msg is not None and self.state is not None:
            self.expr(node.msg)
        self.may_raise()
        self.state = holds
        if holds is None and fails is not None:
            self.state = (0, fails[1])  # `assert False` does nothing under -O

    def if_(self, node: ast.If) -> None:
        holds, fails = self.condition(node.test)
        self.state = holds
        self.block(node.body)
        after = self.state
        self.state = fails
        self.block(node.orelse)
        self.state = join(after, self.state)
        if tests_of.about_versions(node.test):
            self.doubt()  # the other branch is for another Python

    def while_(self, node: ast.While) -> None:
        self._loop(node, lambda: self.condition(node.test))

    def for_(self, node: ast.For | ast.AsyncFor) -> None:
        self.expr(node.iter)
        self.may_raise()

        def take_one() -> tuple[State | None, State | None]:
            self.may_raise(likely=False)
            done = self.state
            self.target(node.target)
            return self.state, done

        self._loop(node, take_one)

    def _loop(
        self, node: ast.For | ast.AsyncFor | ast.While, head: Callable[[], tuple[State | None, State | None]]
    ) -> None:
        entry = self.state
        loop = _Loop()
        again: State | None = None
        while True:
            self.state = join(entry, again)
            before = self.state
            self.frames.append(loop)
            inside, _ = head()
            self.state = inside
            self.block(node.body)
            self.frames.pop()
            again = join(again, join(self.state, loop.continues))
            if join(entry, again) == before:
                break
        self.state = join(entry, again)
        _, never = head()
        done = never
        if again is not None and never is not None:
            self.state = again
            _, ran = head()  # what follows a loop is judged as if the loop had run
            if ran is not None:
                done = ran[0], ran[1] | never[1]
        self.state = done
        self.block(node.orelse)
        self.state = join(self.state, loop.breaks)
        if self.state is not None:
            # a name that the loop binds on some of its ways round: its absence afterwards depends on data
            unbound, bound = self.state
            self.state = unbound & ~(bound & self._bound_in(node.body)), bound

    def _bound_in(self, body: list[ast.stmt]) -> int:
        mask = 0
        stack: list[ast.AST] = list(body)
        while stack:
            node = stack.pop()
            name = None
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                mask |= self.bits.get((self.scope, self._mangled(node.name)), 0)
                continue
            elif isinstance(node, ast.alias):
                name = node.asname or node.name.partition(".")[0]
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
                name = node.name
            if name:
                mask |= self.bits.get((self.scope, self._mangled(name)), 0)
            stack.extend(children(node))
        return mask

    def try_(self, node: ast.Try) -> None:
        frame = _Finally(self._bound_in(node.finalbody)) if node.finalbody else None
        if frame is not None:
            self.frames.append(frame)
            self.raised.append(None)
        self._try_except(node)
        if frame is None:
            return
        self.frames.pop()
        uncaught = self.raised.pop()
        normal = self.state
        self.state = join(uncaught, frame.jumped)
        self.block(node.finalbody)  # on its way out: an exception, a return, a break
        self.may_raise()
        self.state = normal
        self.block(node.finalbody)

    def _try_except(self, node: ast.Try) -> None:
        if not node.handlers:
            self.block(node.body)
            self.block(node.orelse)
            return
        start = self.state
        self.raised.append((0, start[1]) if start is not None else None)
        self.block(node.body)
        caught = self.raised.pop()
        if tests_of.catches(node.handlers) != "all" and self.raised:
            self.raised[-1] = join(self.raised[-1], caught)
        self.block(node.orelse)
        end = self.state
        for handler in node.handlers:
            self.state = caught
            if handler.type is not None:
                self.expr(handler.type)
            if handler.name:
                self.bind(handler.name)
            self.block(handler.body)
            if handler.name:
                self.bind(handler.name)
                self.unbind(handler.name)
            end = join(end, self.state)
        self.state = end

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        before = self.state
        self.raised.append(None)
        for item in node.items:
            self.expr(item.context_expr)
            self.may_raise()
            if item.optional_vars is not None:
                self.target(item.optional_vars)
        self.block(node.body)
        self.may_raise(likely=False)
        inside = self.raised.pop()
        if self.raised:
            self.raised[-1] = join(self.raised[-1], inside)
        if inside is None or before is None:
            return
        if any(last_word(getattr(item.context_expr, "func", item.context_expr)) == "suppress" for item in node.items):
            self.state = join(self.state, inside)
        else:
            self.state = join(self.state, (0, inside[1]))  # an unknown manager may swallow what its body raises

    def match(self, node: ast.Match) -> None:
        self.expr(node.subject)
        done: State | None = None
        for case in node.cases:
            before = self.state
            if before is None:
                break
            self.may_raise(likely=False)
            self._pattern(case.pattern)
            matched = self.state
            missed: State | None = before
            if matched is not None:
                missed = before[0], before[1] | (matched[1] & ~before[1])
            failed_guard: State | None = None
            if case.guard is not None:
                self.state, failed_guard = self.condition(case.guard)
            elif _irrefutable(case.pattern):
                missed = None
            if case.guard is not None and _irrefutable(case.pattern):
                missed = None
            self.block(case.body)
            done = join(done, self.state)
            self.state = join(missed, failed_guard)
        self.state = join(done, self.state)

    def _pattern(self, pattern: ast.AST) -> None:
        for child in children(pattern):
            if isinstance(child, ast.expr):
                self.expr(child)
            else:
                self._pattern(child)
        name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
        if isinstance(name, str):
            self.bind(name)

    def type_alias(self, node: ast.AST) -> None:
        self.bind(node.name.id)  # type: ignore[attr-defined]

    # -- expressions

    def expr(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.read(node)
        elif isinstance(node, ast.Constant):
            return
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
        else:
            for child in children(node):
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
                self.state = self.state[0] & before[0], self.state[1] | before[1]

        self._inline(scope, body)

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


def _irrefutable(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None or _irrefutable(pattern.pattern)
    return isinstance(pattern, ast.MatchOr) and _irrefutable(pattern.patterns[-1])


_STATEMENTS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Expr: Flow.expression,
    ast.Assign: Flow.assign,
    ast.AugAssign: Flow.aug_assign,
    ast.AnnAssign: Flow.ann_assign,
    ast.Delete: Flow.delete,
    ast.Import: Flow.import_,
    ast.ImportFrom: Flow.import_,
    ast.FunctionDef: Flow.function,
    ast.AsyncFunctionDef: Flow.function,
    ast.ClassDef: Flow.class_,
    ast.Return: Flow.return_,
    ast.Raise: Flow.raise_,
    ast.Break: Flow.break_,
    ast.Continue: Flow.continue_,
    ast.Assert: Flow.assert_,
    ast.If: Flow.if_,
    ast.While: Flow.while_,
    ast.For: Flow.for_,
    ast.AsyncFor: Flow.for_,
    ast.Try: Flow.try_,
    ast.With: Flow.with_,
    ast.AsyncWith: Flow.with_,
    ast.Match: Flow.match,
    **({ast.TryStar: Flow.try_} if hasattr(ast, "TryStar") else {}),
    **({ast.TypeAlias: Flow.type_alias} if hasattr(ast, "TypeAlias") else {}),
}
