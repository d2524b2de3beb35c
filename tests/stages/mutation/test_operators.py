"""Every operator makes exactly the mutants it should of small programs, and never fails on any file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.mutation.catalogue import ROWS
from stages.mutation.plugin import verifier_mutations
from tests import golden
from verifier.mutation.mutants import mutants_of
from verifier.sources import SourceFile, SourceTree

PROGRAMS = Path(__file__).parent / "programs"
GOLDEN = Path(__file__).parent / "expected"
OPERATORS = tuple(verifier_mutations())


def tree(folder, names):
    return SourceTree(folder, [SourceFile(name, folder / name) for name in names])


@pytest.fixture(scope="module")
def mutants():
    return mutants_of(tree(PROGRAMS, sorted(path.name for path in PROGRAMS.glob("*.py"))), OPERATORS)


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.py")))
def test_a_program_has_exactly_these_mutants(name, mutants):
    told = [
        f"{item.operator} at line {item.line}{'' if item.visible else ' (not visible)'}\n{item.diff}\n"
        for item in mutants
        if item.path == f"{name}.py"
    ]
    golden.check(GOLDEN / f"{name}.txt", "\n".join(told))


def test_every_operator_has_a_place_in_these_programs(mutants):
    assert {row.name for row in ROWS} - {item.operator for item in mutants} == set()


def test_mutants_compile_and_each_differs_from_its_program_and_from_each_other(mutants):
    for item in mutants:
        original = (PROGRAMS / item.path).read_bytes()
        assert ast.dump(ast.parse(item.data)) != ast.dump(ast.parse(original))
    assert len({(item.path, item.data) for item in mutants}) == len(mutants)


def test_each_line_of_a_mutant_stands_for_one_of_the_program(mutants):
    for item in mutants:
        last = len(SourceFile.lines_of((PROGRAMS / item.path).read_bytes()))
        assert len(item.line_before) == len(SourceFile.lines_of(item.data))
        assert list(item.line_before) == sorted(item.line_before)
        assert (item.line_before[0], item.line_before[-1]) == (1, last)


def test_text_in_other_encodings_and_line_ends_stays_as_it_is(tmp_path):
    text = (PROGRAMS / "sharded.py").read_text("utf-8")
    data = f"# -*- coding: latin-1 -*-\n# gr\xfc\xdfe\n{text}".replace("\n", "\r\n").encode("latin-1")
    (tmp_path / "train.py").write_bytes(data)
    found = mutants_of(tree(tmp_path, ["train.py"]), OPERATORS)
    assert found
    for item in found:
        assert b"gr\xfc\xdfe\r\n" in item.data
        assert b"\n" not in item.data.replace(b"\r\n", b"")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_part_of_a_program_makes_an_operator_fail(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("part")
    lines = (PROGRAMS / data.draw(st.sampled_from(["classifier.py", "adversarial.py"]))).read_text("utf-8").splitlines()
    first = data.draw(st.integers(0, len(lines)))
    kept = lines[first : data.draw(st.integers(first, len(lines)))]
    (folder / "train.py").write_text(
        "import torch\nif True:\n" + "\n".join(f"    {line}" for line in ["pass", *kept]) + "\n"
    )
    for item in mutants_of(tree(folder, ["train.py"]), OPERATORS):
        compile(item.data, item.path, "exec")


def test_files_that_are_no_program_have_no_mutants(tmp_path):
    (tmp_path / "a.py").write_text("scaler.step(optimizer\n")
    (tmp_path / "test_b.py").write_text("scaler.step(optimizer)\n")
    (tmp_path / "c.pyi").write_text("scaler.step(optimizer)\n")
    (tmp_path / "d.txt").write_text("scaler.step(optimizer)\n")
    assert mutants_of(tree(tmp_path, ["a.py", "test_b.py", "c.pyi", "d.txt", "gone.py"]), OPERATORS) == ()
