"""SCP003: certain where no path binds the name, LOW where a branch decides, silent where in doubt."""

from __future__ import annotations

import pytest

from tests.stages.syntax.names.sources import codes, findings


def severities(body: str) -> list[str]:
    indented = body.replace("\n", "\n    ")
    return [
        severity for code, severity, _line, name in codes(f"def f(a, b, c, E):\n    {indented}\n") if code == "SCP003"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "use = x\nx = 1",
        "x = 1\ndel x\nreturn x",
        "try:\n    pass\nexcept E as x:\n    pass\nreturn x",
        "try:\n    x = a()\nexcept E:\n    return x",
        "for i in a:\n    b(x)\n    x = i",
        "while True:\n    b(x)\n    x = 1",
        "if a:\n    b(x)\nx = 1",
        "y = [x for _ in a]\nx = 1",
        "x += 1",
        "class K:\n    y = x\nx = 1",
        "def g(y=x): ...\nx = 1",
    ],
)
def test_certain_where_no_path_binds_the_name(body: str) -> None:
    assert severities(body) == ["CRITICAL"]


@pytest.mark.parametrize(
    "body",
    [
        "if a:\n    x = 1\nreturn x",
        "if a:\n    x = 1\nelif b:\n    x = 2\nreturn x",
        "try:\n    x = a()\nexcept E:\n    pass\nreturn x",
        "try:\n    x = a()\n    y = b()\nexcept E:\n    return x\nreturn y",
        "try:\n    x = a()\nfinally:\n    x.close()",
        "match a:\n    case 1:\n        x = 1\nreturn x",
        "from contextlib import suppress\nwith suppress(E):\n    x = a()\nreturn x",
        "a and (x := b)\nreturn x",
    ],
)
def test_low_where_a_branch_decides(body: str) -> None:
    assert severities(body) == ["LOW"]


@pytest.mark.parametrize(
    "body",
    [
        "for x in a:\n    pass\nreturn x",
        "while a:\n    x = 1\nreturn x",
        "for i in a:\n    if i:\n        x = i\n        break\nreturn x",
        "if a:\n    x = 1\nif a:\n    return x",
        "if a is None:\n    x = 1\nif a is not None:\n    return 0\nreturn x",
        "if a and b:\n    x = 1\nif b:\n    if a:\n        return x",
        "if a:\n    x = 1\n    found = True\nelse:\n    found = False\nif found:\n    return x",
        "if not a:\n    raise E\nif a:\n    x = 1\nreturn x",
        "if a == 1:\n    x = 1\nelif a == 2:\n    x = 2\nelse:\n    raise E\nreturn x",
        "if a:\n    x = 1\nelse:\n    b.fail('no')\nreturn x",
        "import sys\nif a:\n    x = 1\nelse:\n    sys.exit(1)\nreturn x",
        "try:\n    x = a()\nexcept E:\n    return\nreturn x",
        "try:\n    x = a()\nexcept E:\n    x = None\nreturn x",
        "try:\n    import json as x\nexcept ImportError:\n    x = None\nreturn x",
        "while True:\n    try:\n        x = a()\n        break\n    except E:\n        continue\nreturn x",
        "with a:\n    x = 1\nreturn x",
        "match a:\n    case 1:\n        x = 1\n    case _:\n        x = 2\nreturn x",
        "if (x := a):\n    pass\nreturn x",
        "def g():\n    return x\nx = 1\nreturn g",
        "def g():\n    nonlocal x\n    x = 1\ng()\nb(x)\nx = 2",
        "if a:\n    x = 1\nassert a\nreturn x",
        "for i in a:\n    if i == 0:\n        x = b\n    else:\n        x = c(x)\nreturn 0",
        "any((x := i) for i in a)\nreturn x",
    ],
)
def test_silent_where_bound_or_in_doubt(body: str) -> None:
    assert severities(body) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print(x)\nx = 1", [("SCP003", "CRITICAL", 1, "x")]),
        ("@deco\ndef f(): ...\ndef deco(g): ...", [("SCP003", "CRITICAL", 1, "deco")]),
        ("class A(B): ...\nclass B: ...", [("SCP003", "CRITICAL", 1, "B")]),
        ("class A:\n    x = x", [("SCP003", "CRITICAL", 2, "x")]),
        ("x = 1\nclass A:\n    x = x", []),
        ("def f():\n    x = 1\n    class A:\n        x = x", [("SCP003", "CRITICAL", 4, "x")]),
        ("filter = filter", []),
        ("try:\n    raw\nexcept NameError:\n    raw = 1\nprint(raw)", []),
        ("import sys\nif sys.version_info >= (3, 8):\n    x = 1\nprint(x)", []),
        ("def f():\n    return x\nx = f()", []),
    ],
)
def test_module_code_is_followed_from_top_to_bottom(text: str, expected: list[tuple[str, str, int, str]]) -> None:
    assert codes(text) == expected


def test_a_function_that_only_raises_ends_a_branch() -> None:
    complain = "def complain():\n    raise ValueError\n"
    text = "def f(a):\n    if a:\n        x = 1\n    else:\n        complain()\n    return x\n"
    assert codes(complain + text) == []
    assert codes(text.replace("complain", "print")) == [("SCP003", "LOW", 6, "x")]


def test_a_caught_failure_is_low() -> None:
    text = "def f():\n    try:\n        print(x)\n    except Exception:\n        pass\n    x = 1\n"
    assert codes(text) == [("SCP003", "LOW", 3, "x")]


def test_the_message_says_what_unbinds_the_name() -> None:
    (finding,) = findings("try:\n    pass\nexcept ValueError as error:\n    pass\nprint(error)\n")
    assert "Python deletes it when the except clause of line 3 ends" in finding.message


def test_each_scope_has_its_own_finding() -> None:
    text = "def f():\n    print(x)\n    x = 1\ndef g():\n    print(x)\n    x = 1\n"
    assert [line for _code, _severity, line, _name in codes(text)] == [2, 5]
