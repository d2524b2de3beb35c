"""Decides for each read of a name whether it is bound there: on every path, on some, or on none."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.typetext import last_word
from stages._source.walking import children, walk
from stages.syntax.names import tests_of
from stages.syntax.names.reads import Finally, Loop, Reading, Reads, no_answer
from stages.syntax.names.state import State, join

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEAVING = late(
    r"(_?exit|abort|fail|skip|skip_?test|xfail|quit|die|fatal|panic|usage|throw|reraise|bail|unreachable|assert_never"
    r"|execv|execve|execvp|execvpe|execl|execlp|raise_\w+|_raise\w*|\w+_exit|exit_\w+|fail_\w+|abort_\w+|print_usage\w*)\Z"
)
_PARSER = late(r"parser|argp|\bap\b|ctx|click", re.IGNORECASE)


@dataclass(slots=True)
class Flow(Reads):
    """Runs through the statements of one module or function, class bodies and comprehensions in it included."""

    def run(self, node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> list[Reading]:
        """Return the reads that may find their name unbound."""
        self.state = self.track(self.scope)
        self.block(node.body)
        return [
            Reading(variable, self.names.use_of[name], name, bool(unbound), bool(bound))
            for name, (unbound, bound, variable) in self.seen.items()
            if unbound
        ]

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
                if self.state is not None:  # it may bind any of them
                    self.state = State(bound=(1 << len(self.bits)) - 1)
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

    def class_(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator)
        for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self.expr(base)
        self.may_raise()
        self.inline(self.names.scope_of[node], lambda: self.block(node.body))
        self.may_raise(likely=bool(node.bases or node.keywords or node.decorator_list))
        self.bind(node.name)

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
        loop = self._jump(lambda frame: isinstance(frame, Loop))
        if isinstance(loop, Loop):
            loop.breaks = join(loop.breaks, self.state)
        self.state = None

    def continue_(self, _node: ast.Continue) -> None:
        loop = self._jump(lambda frame: isinstance(frame, Loop))
        if isinstance(loop, Loop):
            loop.continues = join(loop.continues, self.state)
        self.state = None

    def _jump(self, stops: Callable[[Loop | Finally], bool]) -> Loop | Finally | None:
        """Leave blocks outwards up to a loop, through the `finally` blocks on the way."""
        for frame in reversed(self.frames):
            if stops(frame):
                return frame
            if isinstance(frame, Finally):
                frame.jumped = join(frame.jumped, self.state)
                if self.state is not None:
                    self.state = self.state.binding(frame.binds)
        return None

    def assert_(self, node: ast.Assert) -> None:
        holds, fails = self.condition(node.test)
        self.state = fails
        if node.msg is not None and self.state is not None:
            self.expr(node.msg)
        self.may_raise()
        self.state = holds
        if holds is None and fails is not None:
            self.state = fails.doubted()  # `assert False` does nothing under -O

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
        def ask() -> tuple[State | None, State | None]:
            answer, self.decide = self.decide, no_answer  # each time round may answer differently
            states = self.condition(node.test)
            self.decide = answer
            return states

        self._loop(node, ask)

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
        loop = Loop()
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
                done = State(ran.unbound, ran.bound | never.bound, ran.doubtful | never.doubted().doubtful)
        self.state = done
        self.block(node.orelse)
        self.state = join(self.state, loop.breaks)
        if self.state is not None:
            # a name that the loop binds on some of its ways round: its absence afterwards depends on data
            self.state = self.state.doubted(self.state.bound & self._bound_in(node.body))

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
        frame = Finally(self._bound_in(node.finalbody)) if node.finalbody else None
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
        self.raised.append(None)
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
            self.state = join(self.state, inside.doubted())  # an unknown manager may swallow what its body raises

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
                missed = before._replace(bound=before.bound | matched.bound)  # it may fail after binding
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
