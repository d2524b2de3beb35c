from __future__ import annotations

import random
from pathlib import Path

import pytest

from stages._source.compiling import compile_bytes
from stages._source.records import CompileProblem
from stages._source.ruff.binary import find_ruff
from stages._source.ruff.process import read_all
from stages.syntax.further import MOST, further_problems

SOUND = (
    "x = 1\n",
    'def f(a, b=2):\n    """Text (of."""\n    for i in range(a):\n        if i:\n            break\n    return b\n',
    "class C:\n    y = [\n        1,\n        2,\n    ]\n\n    def m(self):\n        return self.y\n",
    "try:\n    import a\nexcept ImportError:\n    a = None\nfinally:\n    b = 1\n",
    "match 1:\n    case 1:\n        c = 2\n    case _:\n        c = 3\n",
    "with open('p') as d:\n    e = d.read(\n        5\n    )\n",
)
BROKEN = (  # code and the line in it that is wrong
    ("x = = 1\n", 1),
    ("def g(:\n    return 1\n", 1),
    ("def g()\n    return 1\n", 1),
    ("class D\n    z = 1\n", 1),
    ("class D:\n    def m(self):\n        print 'x'\n\n    def n(self):\n        return 1\n", 3),
    ("def g(a):\n    if a = 1:\n        return 2\n    else:\n        return 3\n", 2),
    ("def g(a):\n    return a +\n", 2),
    ("try:\n    q = 1\nexcept ValueError\n    q = 2\n", 3),
    ("w = [1, 2\nv = 1\n", 1),
    ("def g():\n    h(1, 2\n    return 1\n", 2),
    ("u = 'text\n", 1),
    ("for in range(3):\n    pass\n", 1),
)


def problems(programs: dict[str, str], root: Path) -> dict[str, list[int]]:
    """Return the lines of all errors, the first included, as CPython and ruff see them."""
    for path, code in programs.items():
        (root / path).write_text(code, "utf-8")
    ruff = find_ruff(root)
    assert ruff is not None
    read = read_all(ruff, root, list(programs), target="py311", threads=1, select=("E9", "F701", "F706"))
    found = {}
    for path, code in programs.items():
        first = compile_bytes(code.encode(), path).problem
        assert first is not None
        seen = {
            hit.line: CompileProblem("syntax", hit.message, hit.line)
            for hit in sorted(read.found, reverse=True)
            if hit.path == path
        }
        found[path] = [first.line, *(item.line for item in further_problems(code.encode(), path, first, seen))]
    return found


def places(code: str, root: Path) -> list[int]:
    return problems({"a.py": code}, root)["a.py"]


def broken_program(seed: int) -> tuple[str, list[int]]:
    """Return a program of sound and broken statements, and the lines that are wrong."""
    choose = random.Random(seed)
    code, wrong = "", []
    for _ in range(choose.randint(4, 12)):
        code += choose.choice(SOUND)
        if choose.random() < 0.5 or not wrong:
            text, line = choose.choice(BROKEN)
            wrong.append(code.count("\n") + line)
            code += text
    return code + SOUND[1], wrong


def test_random_broken_programs_have_their_errors_found_and_no_others(tmp_path: Path) -> None:
    made = {f"p{seed}.py": broken_program(seed) for seed in range(150)}
    found = problems({path: code for path, (code, _) in made.items()}, tmp_path)
    # CPython may notice an unclosed bracket one statement late when it is the first error, and that place is its own
    extra = {path: set(found[path][1:]) - set(wrong) for path, (_, wrong) in made.items()}
    assert {path: lines for path, lines in extra.items() if lines} == {}
    expected = sum(len(wrong) for _, wrong in made.values())
    assert sum(len(set(found[path]) & set(wrong)) for path, (_, wrong) in made.items()) >= 0.9 * expected


@pytest.mark.parametrize(("code", "line"), BROKEN)
def test_one_error_is_one_place(code: str, line: int, tmp_path: Path) -> None:
    assert len(places(SOUND[0] + code + SOUND[1] + SOUND[3], tmp_path)) == 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_move_the_places(ending: str, tmp_path: Path) -> None:
    assert places(ending.join(["x = = 1", "", "y = = 2", "z = 3", "w = = 4", ""]), tmp_path) == [1, 3, 5]


def test_an_unclosed_bracket_is_one_place_however_much_it_swallows(tmp_path: Path) -> None:
    assert places("x = (1,\n" + "y = 1\n" * 50, tmp_path) == [1]


def test_a_continued_statement_is_taken_out_whole(tmp_path: Path) -> None:
    assert places("f(1,\n    2 = 3)\ny = = 4\n", tmp_path) == [2, 3]


def test_a_file_of_another_language_lists_no_more_than_the_limit(tmp_path: Path) -> None:
    assert len(places("".join(f"print 'line {n}'\n" for n in range(200)), tmp_path)) == 1 + MOST


def test_what_only_one_parser_refuses_is_not_listed() -> None:
    code = b"x = = 1\ny = = 2\n"
    first = compile_bytes(code, "a.py").problem
    assert first is not None
    assert further_problems(code, "a.py", first, {1: first}) == []
    elsewhere = CompileProblem("syntax", "seen by the other", 9)
    assert further_problems(code, "a.py", first, {9: elsewhere}) == []


@pytest.mark.parametrize("code", [b"(", b"\\", b"'''", b"\tx\n y", b"\xff = = 1\n", b"def", b"x = = 1" + b"\n" * 9])
def test_any_refused_bytes_are_taken(code: bytes) -> None:
    first = compile_bytes(code, "a.py").problem
    assert first is not None
    every = {line: CompileProblem("syntax", "", line) for line in range(1, 12)}
    assert all(item.line > 0 for item in further_problems(code, "a.py", first, every))
