"""Small random programs about three names, and what really happens to those names on every path."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from hypothesis import strategies as st

NAMES = ("aa", "bb", "cc")
_NAME = st.sampled_from(NAMES)
_MOST_RUNS = 128
_MOST_QUESTIONS = 10


class ExpectedError(Exception):
    """The exception that programs raise and catch."""


def _block(body: list[str]) -> str:
    return textwrap.indent("\n".join(body) or "pass", "    ")


def _if(body: list[str], otherwise: list[str]) -> str:
    tail = f"\nelse:\n{_block(otherwise)}" if otherwise else ""
    return f"if flag():\n{_block(body)}{tail}"


def _try(parts: tuple[list[str], str, list[str], list[str], list[str]]) -> str:
    body, clause, handler, otherwise, final = parts
    text = f"try:\n{_block(body)}\nexcept {clause}:\n{_block(handler)}"
    text += f"\nelse:\n{_block(otherwise)}" if otherwise else ""
    return text + (f"\nfinally:\n{_block(final)}" if final else "")


def _case(pattern: str, body: list[str]) -> str:
    return f"    case {pattern}:\n{textwrap.indent(_block(body), '    ')}"


def _simple() -> st.SearchStrategy[str]:
    return st.one_of(
        _NAME.map(lambda name: f"{name} = 1"),
        _NAME.map(lambda name: f"use({name})"),
        _NAME.map(lambda name: f"del {name}"),
        _NAME.map(lambda name: f"from sys import maxsize as {name}"),
        _NAME.map(lambda name: f"use([{name} for _ in two()])"),
        _NAME.map(lambda name: f"use({name} := 1)"),
        _NAME.map(lambda name: f"{name} += 1"),
        _NAME.map(lambda name: f"def inner(x={name}):\n    return {name}"),
        _NAME.map(lambda name: f"use(lambda x={name}: x)"),
        st.tuples(_NAME, _NAME).map(lambda pair: f"class Inner:\n    {pair[0]} = 1\n    use({pair[1]})"),
        st.tuples(_NAME, _NAME).map(lambda pair: f"{pair[0]} = {pair[1]}"),
        st.tuples(_NAME, _NAME).map(
            lambda pair: f"use(\n    flag() and\n    {pair[0]},\n    flag() or\n    {pair[1]})"
        ),
        st.just("perhaps()"),
        st.just("raise Expected"),
        st.just("return 0"),
    )


def _compound(blocks: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    clause = st.sampled_from(["Expected", "Expected as aa", "Expected as bb"])
    maybe = st.one_of(st.just([]), blocks)
    in_loop = st.tuples(blocks, st.sampled_from(["", "break", "continue", "if flag():\n    break"])).map(
        lambda pair: [*pair[0], pair[1]] if pair[1] else pair[0]
    )
    return st.one_of(
        st.tuples(blocks, maybe).map(lambda parts: _if(*parts)),
        in_loop.map(lambda body: f"for _ in two():\n{_block(body)}"),
        st.tuples(_NAME, in_loop, maybe).map(
            lambda parts: (
                f"for {parts[0]} in two():\n{_block(parts[1])}" + (f"\nelse:\n{_block(parts[2])}" if parts[2] else "")
            )
        ),
        blocks.map(lambda body: f"while flag():\n{_block(body)}"),
        blocks.map(lambda body: f"while True:\n{_block([*body, 'break'])}"),
        st.tuples(blocks, clause, blocks, maybe, maybe).map(_try),
        blocks.map(lambda body: f"with managed():\n{_block(body)}"),
        blocks.map(lambda body: "match value():\n" + _case("1", body)),
        st.tuples(_NAME, blocks).map(lambda p: "match value():\n" + _case("[1]", ["pass"]) + "\n" + _case(*p)),
    )


def _statements() -> st.SearchStrategy[str]:
    return st.recursive(_simple(), lambda inner: _compound(st.lists(inner, min_size=1, max_size=3)), max_leaves=10)


def functions() -> st.SearchStrategy[str]:
    """Programs whose names are locals of one function, called once."""
    bodies = st.lists(_statements(), min_size=1, max_size=5)
    return bodies.map(lambda body: f"def main():\n{_block(body)}\n\nmain()\n")


def modules() -> st.SearchStrategy[str]:
    """Programs whose names are the module's own."""
    statements = _statements().filter(lambda text: not re.search(r"^ *return 0$", text, re.MULTILINE))
    return st.lists(statements, min_size=1, max_size=5).map(lambda body: "\n".join(body) + "\n")


@dataclass
class Reality:
    """What every path of a program did: how often a line read a name, and how often that name was not found.

    `complete`: every path was taken.
    """

    reached: Counter[int] = field(default_factory=Counter)
    failed: Counter[tuple[int, str]] = field(default_factory=Counter)
    complete: bool = True


def run_every_path(source: str) -> Reality:
    """Run a program once for every sequence of answers that its `flag()` calls can get."""
    code = compile(_marked(source), "<program>", "exec")
    reality = Reality()
    todo: list[list[bool]] = [[]]
    for _ in range(_MOST_RUNS):
        if not todo:
            return reality
        answers = todo.pop()
        asked = _run(code, answers, reality)
        reality.complete &= asked <= _MOST_QUESTIONS
        for place in range(len(answers), min(asked, _MOST_QUESTIONS)):
            todo.append([*answers, *[False] * (place - len(answers)), True])
    reality.complete &= not todo
    return reality


def _run(code: Any, answers: list[bool], reality: Reality) -> int:
    given = iter(answers)
    count = itertools.count()

    def flag() -> bool:
        next(count)
        return next(given, False)

    def perhaps() -> None:
        if flag():
            raise ExpectedError

    failures: dict[tuple[int, str, int], NameError] = {}
    namespace = {
        "at": lambda line: reality.reached.update([line]),
        "flag": flag,
        "perhaps": perhaps,
        "use": lambda *_values: perhaps(),
        "two": lambda: () if flag() else (1, 2),
        "value": lambda: 1 if flag() else [1] if flag() else 2,
        "managed": lambda: _Managed(flag),
        "Expected": ExpectedError,
    }
    previous = sys.gettrace()
    sys.settrace(_tracer(failures))
    try:
        exec(code, namespace)
    except (NameError, ExpectedError, TypeError):
        pass
    finally:
        sys.settrace(previous)
    reality.failed.update((line, name) for line, name, _identity in failures)
    return next(count)


def _tracer(failures: dict[tuple[int, str, int], NameError]) -> Callable[..., Any]:
    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != "<program>":
            return None
        if event == "exception" and isinstance(argument[1], NameError):
            error = argument[1]
            failures[frame.f_lineno, str(error).split("'")[1], id(error)] = error
        return trace

    return trace


def _marked(source: str) -> ast.Module:
    """Return the program with a call of `at(line)` before every read of one of the names."""
    return ast.fix_missing_locations(_Marker().visit(ast.parse(source)))


class _Marker(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in NAMES or not isinstance(node.ctx, ast.Load):
            return node
        both = ast.Tuple([_mark(node), node], ast.Load())
        return ast.copy_location(ast.Subscript(both, ast.Constant(1), ast.Load()), node)

    def visit_Delete(self, node: ast.Delete) -> Any:
        return [ast.copy_location(ast.Expr(_mark(node)), node), node]

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        return [ast.copy_location(ast.Expr(_mark(node)), node), node]


def _mark(node: ast.AST) -> ast.expr:
    line = ast.Constant(getattr(node, "lineno", 0))
    return ast.Call(ast.Name("at", ast.Load()), [line], [])


class _Managed:
    def __init__(self, swallow: Callable[[], bool]) -> None:
        self._swallow = swallow

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> bool:
        return kind is ExpectedError and self._swallow()
