"""Globs of the configuration select what a reader expects."""

from __future__ import annotations

import pytest

from verifier.globs import compile_glob


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("amp/**/*.py", "amp/a.py", True),
        ("amp/**/*.py", "amp/deep/er/a.py", True),
        ("amp/**/*.py", "other/a.py", False),
        ("amp/**/*.py", "amp/a.pyc", False),
        ("*.py", "a.py", True),
        ("*.py", "amp/a.py", False),
        ("**/*.py", "a.py", True),
        ("build/**", "build/lib/a.py", True),
        ("build/", "build/lib/a.py", True),
        ("build/", "builder/a.py", False),
        ("train_?.py", "train_1.py", True),
        ("train_?.py", "train_12.py", False),
        ("[!a]*.py", "b.py", True),
        ("[!a]*.py", "a.py", False),
        ("a+b(1).py", "a+b(1).py", True),
        ("[z-a].py", "b.py", False),
    ],
)
def test_glob_selects_as_written(pattern: str, path: str, matches: bool) -> None:
    assert bool(compile_glob(pattern).match(path)) is matches
