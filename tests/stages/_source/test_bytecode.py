"""Bytecode answers what a file imports and binds, and which functions need a closer look."""

from __future__ import annotations

import textwrap

import pytest

from stages._source import opcodes
from stages._source.bytecode import MODULE_OWNER, Reading, read
from stages._source.records import ImportSite

pytestmark = pytest.mark.skipif(not opcodes.READABLE, reason="this Python's bytecode is not read; the tree is")


def reading(text: str) -> Reading:
    return read(compile(textwrap.dedent(text), "<test>", "exec", dont_inherit=True))


def test_imports_come_in_source_order_with_line_level_names_and_eagerness() -> None:
    found = reading("""
        import a.b as c, d
        from . import e
        from ..f import (
            g as h, i
        )
        class K:
            import l
        def m():
            from n import o
        from p import *
    """).imports
    assert found == (
        ImportSite(2, "a.b", 0, None, True),
        ImportSite(2, "d", 0, None, True),
        ImportSite(3, "", 1, ("e",), True),
        ImportSite(4, "f", 2, ("g", "i"), True),
        ImportSite(8, "l", 0, None, True),
        ImportSite(10, "n", 0, ("o",), False),
        ImportSite(11, "p", 0, ("*",), True),
    )


def test_an_import_in_finally_is_one_import() -> None:
    assert len(reading("try:\n    f()\nfinally:\n    import a\n").imports) == 1


def test_bindings_include_what_functions_declare_global() -> None:
    found = reading("import os\ndef f():\n    global x\n    x, y = 1, 2\nfor i in (): pass\nclass C: z = 1\n")
    assert found.bindings == {"os", "f", "x", "i", "C"}


def test_bindings_beyond_256_names_are_read_whole() -> None:
    text = "\n".join(f"name_{i} = {i}.5" for i in range(700)) + "\nimport late_module\n"
    found = reading(text)
    assert len(found.bindings) == 701
    assert found.imports == (ImportSite(701, "late_module", 0, None, True),)


@pytest.mark.parametrize(
    "text",
    [
        "if TYPE_CHECKING:\n    import a\n",
        "if typing.TYPE_CHECKING:\n    import a\nelse:\n    b = 1\n",
        "if not TYPE_CHECKING:\n    b = 1\nelse:\n    import a\n",
    ],
)
def test_names_for_type_checkers_only_are_known(text: str) -> None:
    assert reading(text).type_only == {"a"}


@pytest.mark.parametrize(
    ("body", "suspect"),
    [
        ("x = 1\n    return x", False),
        ("if a:\n        x = 1\n    return x", True),
        ("if a:\n        x = 1\n    else:\n        x = 2\n    return x", False),
        ("for i in a:\n        x = i\n    return x", False),
        ("with a as b:\n        x = b\n    return x", False),
        ("try:\n        x = 1\n    except E:\n        return\n    return x", False),
        ("try:\n        x = g()\n    except E:\n        pass\n    return x", True),
        ("try:\n        pass\n    except E as e:\n        pass\n    return e", True),
        ("x = 1\n    del x\n    return x", True),
        ("def inner():\n        return inner()\n    return inner", False),
        ("y = [x for _ in a]\n    x = 1\n    return y", True),
    ],
)
def test_a_function_is_suspect_where_a_path_may_read_an_unbound_name(body: str, suspect: bool) -> None:
    owners = reading(f"def f(a):\n    {body}\n").owners
    assert owners == ({(1, "f")} if suspect else set())


@pytest.mark.parametrize(
    ("text", "suspect"),
    [
        ("print(x)\nx = 1\n", True),
        ("x = 1\nprint(x)\n", False),
        ("class A:\n    y = x\nx = 1\n", True),
        ("y = [x for _ in (1,)]\nx = 1\n", True),
        ("def f():\n    return x\nx = 1\n", False),
        ("def f(y=x):\n    return y\nx = 1\n", True),
        ("filter = filter\n", False),
    ],
)
def test_module_code_is_suspect_where_it_may_read_an_unbound_name(text: str, suspect: bool) -> None:
    assert (MODULE_OWNER in reading(text).owners) is suspect


@pytest.mark.parametrize(
    "text", ["globals()['x'] = 1\n", "exec('x')\n", "import builtins\n", "sys.modules[__name__]\n"]
)
def test_hints_of_a_changing_namespace_are_seen(text: str) -> None:
    assert reading(text).hints
