"""What a name may hold where it is read: the last value on every way, and what loops and branches add to it."""

from __future__ import annotations

import ast
import textwrap

import pytest

from stages._source.program.project import read_project
from stages._source.versions import Versions
from stages.security.view import View


def held(code: str) -> list[str]:
    """Return the lines that bind what the call of `mark` is passed."""
    text = textwrap.dedent(code)
    project = read_project([("a.py", ast.parse(text), text.splitlines())])
    module = project.module("a.py")
    assert module is not None
    view = View(project, module, Versions())
    call, scope = next((call, scope) for call, scope in view.calls() if ast.unparse(call.func) == "mark")
    lines = text.splitlines()
    return [lines[binding.node.lineno - 1].strip() for binding in view.bindings(call.args[0], scope)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nx = 2\nmark(x)\nx = 3\n", ["x = 2"]),
        ("x = 1\nif y:\n    x = 2\nmark(x)\n", ["x = 1", "x = 2"]),
        ("if y:\n    x = 1\nelse:\n    x = 2\n    mark(x)\n", ["x = 2"]),
        ("x = 1\ntry:\n    x = 2\nexcept OSError:\n    x = 3\n    mark(x)\n", ["x = 3"]),
        ("x = 1\ntry:\n    x = 2\nexcept OSError:\n    mark(x)\n", ["x = 1", "x = 2"]),
        ("x = 1\nwhile y:\n    mark(x)\n    x = 2\n", ["x = 1", "x = 2"]),
        ("x = 0\nwhile y:\n    x = 1\n    mark(x)\n    x = 2\n", ["x = 1"]),
        ("for x in y:\n    mark(x)\n    x = 2\n", ["for x in y:"]),
        ("with a as x:\n    pass\nwith b as x:\n    mark(x)\n", ["with b as x:"]),
        ("x = 1\nx = mark(x)\n", ["x = 1"]),
        ("x = 1\nwhile y:\n    x = mark(x)\n", ["x = 1", "x = mark(x)"]),
        ("def f(x):\n    x = x or 1\n    mark(x)\n", ["x = x or 1"]),
        ("x = 1\nx = 2\ndef f():\n    mark(x)\n", ["x = 1", "x = 2"]),
        (
            "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    mark(x)\n",
            ["x = 1", "x = 2"],
        ),
        ("x: int = 1\nx: int = 2\nmark(x)\n", ["x: int = 2"]),
        ("import x\nx = 2\nmark(x)\n", ["import x", "x = 2"]),
    ],
)
def test_only_what_may_hold_there(code, expected):
    assert held(code) == expected
