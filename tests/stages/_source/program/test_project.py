"""Under which names files of a project import each other."""

from __future__ import annotations

from stages._source.program.project import Project


def test_root_that_is_a_package_itself_ends() -> None:
    project = Project(["__init__.py", "a/__init__.py", "a/b.py"], lambda _: None)
    assert project.module("a/b.py") is None
