"""What of a cell is Python: as many lines as before, every statement where it stood."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.notebooks import magics
from verifier.notebooks.magics import to_python

SOURCES = sorted(Path(magics.__file__).parent.parent.rglob("*.py"))
PIECES = st.sampled_from(
    [
        *("%time ", "%%time", "%run a.py", "!ls", "x = !ls", "y = %pwd", "?x", "x?", "x??", "%", "!", "%%bash", "/f x"),
        *(
            "'''",
            '"""',
            "'",
            '"',
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "\\",
            "#",
            "=",
            "==",
            ":",
            "    ",
            "\t",
            ",",
            ";",
            "\x0c",
        ),
        *(
            "from __future__ import annotations",
            "global x",
            "def f():",
            ">>>",
            ">>> x",
            "... ",
            "...",
            "return",
            "%%capture out",
            "pip install x",
            "a % b",
        ),
    ]
)
CELLS = st.lists(st.lists(PIECES, max_size=5).map(" ".join), max_size=8)


@given(CELLS)
def test_whatever_a_cell_says_it_keeps_its_number_of_lines(lines: list[str]) -> None:
    rewritten = to_python(lines).lines
    assert len(rewritten) == len(lines)
    assert not any("\n" in line for line in rewritten)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_plain_python_is_left_as_it_is(path: Path) -> None:
    text = path.read_text().replace("from __future__ import annotations", "")
    assert to_python(text.split("\n")).lines == text.split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "s = '''\n%time\n!ls\nx?\n'''",
        "f(\n    a, # !x\n    b = 3 %\n    c,\n)",
        "a = b \\\n    %c",
        "x = 'is it?'\ny = {'k': '?'}  # what?",
        "print('%s' % x)\na %= 3\nb = a != 2\nc = a %b",
        "x = f'{a!r:>{w}}'",
        "'unclosed\ny = 1",
        "    indented = 1\n    y = 2",
        "time = 3",
        "x = 1\n...",
        "'''\n>>> f(x)\n'''",
        "def f():\n    ...",
        "ls = 1\nls",
        "env['x'] = 1",
    ],
)
def test_what_only_looks_like_a_magic_is_left_as_it_is(text: str) -> None:
    assert "\n".join(to_python(text.split("\n")).lines) == text


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("%matplotlib inline\nx = 1", "\nx = 1"),
        ("!pip install x\nx = 1", "\nx = 1"),
        ("!ls \\\n  -l\nx = 1", "\n\nx = 1"),
        ("if x:\n    !ls\nelse:\n  %cd ..", "if x:\n    pass\nelse:\n  pass"),
        ("np.sum?\n??np\nx.y??", "\n\n"),
        ("x = !ls\ny = %pwd", "x = get_ipython()\ny = get_ipython()"),
        ("files: list = !ls {a} \\\n  {b}", "files: list = get_ipython()\n"),
        ("%time x = f()\ny", "if 1: x = f()\ny"),
        ("%time for i in r: y = i", "y = i = get_ipython()"),
        ("%run other.py\nx", "exec(In)\nx"),
        ("%pylab inline", "exec(In)"),
        ("%aimport a, b", "a = b = get_ipython()"),
        ("%config A.b = 'c'\n%env X=1\nx", "\n\nx"),
        ("/f x\n,f a\n;f b\nx", "\n\n\nx"),
        ("pip install torch", ""),
        ("cd ..", ""),
        ("%%time\nx = 1\n%ls", "\nx = 1\n"),
        ("\n# first\n%%time?\nx", "\n# first\n\nx"),
        ("%%capture out\n%%time\nx = 1", "out = get_ipython()\n\nx = 1"),
        ("%%capture --no-stderr\nx = 1", "\nx = 1"),
        ("%%capture out\n  x = 1", "if [out := get_ipython()]:\n  x = 1"),
        ("%%timeit\n  x = 1", "if 1:\n  x = 1"),
        ("%%bash --out o --err e\nls", "o = e = get_ipython()\n"),
        ("%%writefile x.py\nimport os\n", "\n\n"),
        ("%%cython\ncdef int f(int x):\n    return x", "f = get_ipython()\n\n"),
        ("%%sql rows <<\nselect 1", "rows = get_ipython()\n"),
        ("global x\nx = 1", "\nx = 1"),
        (">>> x = [\n...   1]\n>>> !ls", "    x = [\n      1]\n    pass"),
        (">>> x = 1\n\n >>> y = 2", "x = 1\n\ny = 2"),
        (">>> f(x)\n>>> y = 1\n2", "f(x)\ny = 1\n2"),
        ("from __future__ import (print_function,\n  division)\nx", "\n\nx"),
        ("from __future__ import division; x = 1", f"{'pass':31}; x = 1"),
        ("from __future__ import nonsense", "from __future__ import nonsense"),
    ],
)
def test_what_is_no_python_gives_way_to_python_of_as_many_lines(text: str, python: str) -> None:
    assert "\n".join(to_python(text.split("\n")).lines) == python


def test_what_is_imported_from_the_future_is_told_apart() -> None:
    assert to_python(["from __future__ import division, annotations"]).features == {"division", "annotations"}


@given(
    st.lists(st.sampled_from(["%time", "%%time", "!ls", "x?", "?x", "%cd x", "y = !ls", "z = %pwd", "pass", "a = 1"]))
)
def test_magics_among_statements_always_leave_python(lines: list[str]) -> None:
    text = "\n".join(to_python(lines).lines)
    assert ast.parse(text)
    assert re.search(r"[!?%]", text) is None
