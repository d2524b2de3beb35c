"""SCP001 and SCP002: names that nothing binds, and names bound where they cannot be seen."""

from __future__ import annotations

import sys

import pytest

from tests.stages.syntax.names.sources import codes, findings

TYPE_PARAMETERS = [  # syntax of Python 3.12
    "class A[T](list[T]):\n    x: T\n    def f[U](self, a: T, b: U) -> T: ...",
    "class A[__T](list[__T]):\n    y = __T\n    def f(self):\n        return __T",
    "class A:\n    class B[__T]:\n        y = __T\n    def f[__U](self, a: __U) -> __U: ...\n    type C[__V] = __V",
]


@pytest.mark.parametrize(
    "text",
    [
        "print(__name__, __file__, __doc__, __spec__, __builtins__)",
        "class A:\n    x = __module__ + __qualname__\n    def m(self):\n        return __class__",
        "def f():\n    global made\n    made = 1\nf()\nprint(made)",
        "def f():\n    return later\nlater = 1",
        "try:\n    unknown\nexcept NameError:\n    unknown = None",
        "try:\n    unknown\nexcept (AttributeError, NameError):\n    pass",
        "if 'profile' in globals():\n    profile()",
        "globals()['made'] = 1\nprint(made)",
        "for name in 'ab':\n    globals()[name] = 1\nprint(a)",
        "exec('a = 1')\nprint(a)",
        "import builtins\nbuiltins._t = str\nprint(_t('x'))",
        "import gettext\ngettext.install('app')\nprint(_('x'))",
        "import sys\nif sys.version_info < (3,):\n    text = unicode\nelse:\n    text = str",
        "try:\n    import queue\nexcept ImportError:\n    text = unicode",
        "from enum import Enum, global_enum\n@global_enum\nclass E(Enum):\n    RED = 1\nprint(RED)",
        "def f(x):\n    match x:\n        case {'a': a, **rest}:\n            return a, rest",
        "def f(x):\n    match x:\n        case [first, *others]:\n            return first, others",
        "x = [y for y in range(3) if (z := y)]\nprint(z)",
        "class A:\n    n = 3\n    x = [i for i in range(n)]",
        "def f():\n    def g():\n        nonlocal a\n        a = 2\n    a = 1\n    return g",
        "class A:\n    def __f(self):\n        return self.__f()",
        "if False:\n    undefined()",
        "def f():\n    return 1\n    undefined()",
        *(TYPE_PARAMETERS if sys.version_info >= (3, 12) else ()),
    ],
)
def test_names_that_python_finds_are_silent(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print(missing)", [("SCP001", "CRITICAL", 1, "missing")]),
        ("del missing", [("SCP001", "CRITICAL", 1, "missing")]),
        ("def f():\n    missing += 1", [("SCP003", "CRITICAL", 2, "missing")]),
        ("class A:\n    x = [n for _ in range(3)]\n    n = 1", [("SCP002", "CRITICAL", 2, "n")]),
        (
            "class A:\n    def m(self):\n        return __helper()\ndef __helper(): ...",
            [("SCP001", "CRITICAL", 3, "_A__helper")],
        ),
        ("try:\n    missing\nexcept Exception:\n    pass", [("SCP001", "CRITICAL", 2, "missing")]),
        ("if False:\n    import a\na.b", [("SCP001", "CRITICAL", 3, "a")]),
        ("x: int\nprint(x)", [("SCP001", "CRITICAL", 2, "x")]),
        ("[i for i in range(3)]\nprint(i)", [("SCP002", "CRITICAL", 2, "i")]),
    ],
)
def test_names_that_python_does_not_find_are_reported(text: str, expected: list[tuple[str, str, int, str]]) -> None:
    assert codes(text) == expected


def test_a_name_used_often_is_one_finding_with_every_place() -> None:
    (finding,) = findings("print(missing)\ndef f():\n    return missing\n")
    assert [related.location.line for related in finding.related] == [3]


def test_columns_count_characters() -> None:
    (finding,) = findings("x = 'ä€𝄞' + missing\n")
    assert finding.location.column == 13


def test_a_typing_error_is_answered_with_the_nearest_name() -> None:
    (finding,) = findings("import tempfile\nprint(tempfiel)\n")
    assert "`tempfile`" in finding.remediation


def test_a_local_of_a_sibling_function_is_called_that() -> None:
    (finding,) = findings("""
        def _training_step():
            with autocast():
                pass
            with autocast():
                pass

        def test_fine_tuning():
            from torch.cuda.amp import autocast
            _training_step()
    """)
    assert (finding.rule, finding.location.line) == ("SCP002", 2)
    assert "a local of the sibling function test_fine_tuning(), by the import on line 8" in finding.message
    assert "from torch.cuda.amp import autocast" in finding.remediation
    assert [related.location.line for related in finding.related] == [8, 4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class A:\n    k = 1\n    def m(self):\n        return k", "the body of class A around it"),
        ("def f():\n    def g():\n        z = 1\n    return z", "a local of the inner function g()"),
        ("class A:\n    def a(self):\n        z = 1\n    def b(self):\n        return z", "the sibling method A.a()"),
    ],
)
def test_the_relation_between_the_scopes_is_said(text: str, words: str) -> None:
    (finding,) = findings(text)
    assert words in finding.message


def test_a_name_for_type_checkers_only_does_not_exist_at_run_time() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\ndef f(x: 'a.B') -> None:\n    a.b()\n"
    (finding,) = findings(text)
    assert (finding.rule, finding.severity.name, finding.location.line) == ("SCP001", "CRITICAL", 5)
    assert "only for type checkers, on line 3" in finding.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__all__ = ['a']\na = 1", []),
        ("__all__ = ['a', 'b', 'c']\na = 1", [("SCP001", "CRITICAL", 1, "b")]),
        ("__all__ = ['a']\ndef __getattr__(name): ...", []),
        ("__all__ = ['a']\nfrom x import *", []),
        ("__all__ = [n for n in dir()]", []),
    ],
)
def test_all_may_name_only_what_the_module_has(text: str, expected: list[tuple[str, str, int, str]]) -> None:
    assert codes(text) == expected


def test_code_that_never_runs_is_named_by_its_own_line() -> None:
    text = "def g():\n    return [x for x in 'ab']\ndef f():\n    if False:\n        x = 0\n    return x"
    (found,) = findings(text)
    assert found.message == "`x` has no value: the code that binds it, on line 5, never runs"


def test_all_of_a_package_may_name_submodules() -> None:
    assert codes("__all__ = ['sub']", "pkg/__init__.py") == []


@pytest.mark.parametrize(
    "text",
    [
        "from .base import f\nprint(base, f)\n",
        "from .base import *\n__all__ = base.__all__\n",
        "import pkg.base\nprint(base)\n",
        "from top.pkg.base.deep import f\nprint(base, f)\n",
        "def load():\n    from . import base\n    from .other import x\n    return other, x\n",
    ],
)
def test_a_submodule_that_a_package_imports_is_one_of_its_names(text: str) -> None:
    assert codes(text, "top/pkg/__init__.py") == []


def test_a_submodule_is_no_name_of_a_module_that_is_no_package() -> None:
    assert codes("from .base import f\nprint(base, f)\n", "top/pkg/mod.py") == [("SCP001", "CRITICAL", 2, "base")]


def test_a_stub_may_name_what_comes_later() -> None:
    assert codes("def f(x: B) -> None: ...\nclass B: ...\n", "mod.pyi") == []
