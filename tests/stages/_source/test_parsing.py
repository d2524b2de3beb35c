"""A file is parsed once while it is alive."""

from __future__ import annotations

import gc

from stages._source.parsing import Trees
from tests.stages.syntax.names.sources import source_file


def test_a_tree_is_shared() -> None:
    trees, file = Trees(), source_file("x = 1\n")
    assert trees.parse(file) is trees.parse(file)


def test_two_files_of_one_path_have_two_trees() -> None:
    trees = Trees()
    first, second = source_file("x = 1\n"), source_file("y = 1\n")
    assert trees.parse(first) is not trees.parse(second)


def test_what_cannot_be_parsed_has_no_tree() -> None:
    trees = Trees()
    assert trees.parse(source_file("x = (\n")) is None
    assert trees.parse(source_file(b"x\0")) is None


def test_a_forgotten_tree_is_made_again() -> None:
    trees, file = Trees(), source_file("x = 1\n")
    first = trees.parse(file)
    trees.forget(file)
    assert trees.parse(file) is not first


def test_trees_die_with_their_files() -> None:
    trees = Trees()
    trees.parse(source_file("x = 1\n"))
    gc.collect()
    assert len(trees._trees) == 0
