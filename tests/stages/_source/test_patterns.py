"""Expressions are compiled when they are first used; that each of ours is one is seen here and not in a run."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import stages
from stages._source.patterns import late


def test_it_finds_what_the_compiled_expression_finds() -> None:
    expression, text = r"(a)(?=b)", "xabab"
    lazy, compiled = late(expression), re.compile(expression)
    assert [match.span() for match in lazy.finditer(text)] == [match.span() for match in compiled.finditer(text)]
    assert lazy.sub("c", text) == compiled.sub("c", text)
    assert (lazy.pattern, lazy.flags) == (compiled.pattern, compiled.flags)
    assert lazy.fullmatch(text) is None


def test_bytes_and_flags_are_taken() -> None:
    assert late(rb"^b", re.MULTILINE).search(b"a\nb") is not None


def test_what_is_no_expression_is_refused_at_its_first_use() -> None:
    lazy = late("(")
    with pytest.raises(re.error):
        lazy.search("")


def test_every_expression_of_the_stages_is_one() -> None:
    names = [module.name for module in pkgutil.walk_packages(stages.__path__, "stages.")]
    kind, found = type(late("")), 0
    for name in names:
        for value in vars(importlib.import_module(name)).values():
            for item in value if isinstance(value, tuple) else (value,):
                if type(item) is kind:
                    assert item.pattern is not None
                    found += 1
    assert found > 100
