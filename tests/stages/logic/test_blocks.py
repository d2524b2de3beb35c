"""What always runs after what, by blocks."""

from __future__ import annotations

import ast
import textwrap

import pytest

from stages._source.program.kinds import Kinds
from stages._source.program.project import read_project
from stages.logic.blocks import always_after, loops_around
from stages.logic.view import View


def view_of(text: str) -> View:
    source = textwrap.dedent(text)
    project = read_project([("a.py", ast.parse(source), source.splitlines())])
    return View(project, project.modules[0], Kinds(project))


def call(view: View, name: str) -> ast.AST:
    return next(seen.node for seen in view.calls() if ast.unparse(seen.node) == f"{name}()")


@pytest.mark.parametrize(
    ("body", "follows"),
    [
        ("first()\nlater()", True),
        ("later()\nfirst()", False),
        ("first()\nif x:\n    for y in z:\n        later()", True),
        ("if x:\n    first()\nlater()", False),
        ("if x:\n    first()\nelse:\n    later()", False),
        ("with x:\n    first()\nlater()", True),
        ("try:\n    first()\nexcept E:\n    later()", False),
        ("try:\n    first()\n    later()\nfinally:\n    pass", True),
        ("for x in y:\n    first()\n    later()", True),
        ("for x in y:\n    first()\nlater()", False),
        ("first()\ndef g():\n    later()", False),
    ],
)
def test_only_what_no_branch_parts_always_follows(body: str, follows: bool) -> None:
    view = view_of("def f(x, y, z):\n" + textwrap.indent(body, "    "))
    assert always_after(view, call(view, "first"), call(view, "later")) is follows


def test_loops_are_those_in_whose_turns_a_node_runs() -> None:
    view = view_of("""
        def f(n):
            while test():
                for x in over():
                    inside()
                else:
                    after()
                def g():
                    apart()
    """)
    found = {name: [loop.lineno for loop in loops_around(view, call(view, name))] for name in
             ("test", "over", "inside", "after", "apart")}  # fmt: skip
    assert found == {"test": [3], "over": [3], "inside": [4, 3], "after": [3], "apart": []}
