"""What a file exports, how it is written, and which keys come back."""

from __future__ import annotations

import pytest

from tests.builders import syntax_facts


def rows(source: str, path: str = "lib"):
    return syntax_facts({path: source})["signatures"]


def keys(source: str):
    return rows(source)[0]["returned_keys"]


def test_a_function_is_shown_as_its_author_wrote_it():
    (row,) = rows("def fit(model, *, epochs: int = 3, lr=1e-3, **rest: Any) -> dict[str, float]: ...")
    assert row == {
        "path": "lib.py",
        "line": 1,
        "name": "fit",
        "signature": "(model, *, epochs: int = 3, lr=0.001, **rest: Any)",
        "returns": "dict[str, float]",
        "returned_keys": None,
    }


@pytest.mark.parametrize(
    "signature",
    ["()", "(a, b=1)", "(a, /, b, *args, c, d=2, **kw)", "(*, a: int, b: str = 'x')", "(a, /)", "(*args: int)"],
)
def test_every_kind_of_parameter_round_trips(signature):
    assert rows(f"def f{signature}: ...")[0]["signature"] == signature


def test_private_and_nested_names_are_not_exported():
    source = "def _a(): ...\ndef b():\n    def c(): ...\nclass _D: ...\nfrom x import e"
    assert [row["name"] for row in rows(source)] == ["b"]


def test_all_decides_where_there_is_one():
    source = "__all__ = ['_a']\n__all__ += ['C']\ndef _a(): ...\ndef b(): ...\nclass C: ..."
    assert [row["name"] for row in rows(source)] == ["_a", "C"]


def test_an_all_that_is_computed_is_not_guessed():
    assert [row["name"] for row in rows("__all__ = names()\ndef _a(): ...\ndef b(): ...")] == ["b"]


def test_a_class_is_shown_by_its_constructor_and_public_methods():
    source = """
class Callback:
    def __init__(self, log: bool = True): ...
    def on_end(self, trainer) -> None: ...
    def _scale(self): ...
    @staticmethod
    def make(x): ...
    @property
    def ready(self) -> bool: ...
    @ready.setter
    def ready(self, value): ...
"""
    assert [(row["name"], row["signature"], row["returns"]) for row in rows(source)] == [
        ("Callback", "(log: bool = True)", None),
        ("Callback.on_end", "(trainer)", "None"),
        ("Callback.make", "(x)", None),
        ("Callback.ready", "", "bool"),
    ]


def test_a_dataclass_is_constructed_from_its_fields():
    source = """
from dataclasses import dataclass
from typing import ClassVar
@dataclass(frozen=True)
class Config:
    limit: ClassVar[int] = 3
    use_amp: bool
    lr: float = 0.1
"""
    assert rows(source)[0]["signature"] == "(use_amp: bool, lr: float = 0.1)"


def test_definitions_behind_conditions_count_once():
    assert [row["line"] for row in rows("if x:\n    def f(): ...\nelse:\n    def f(a): ...")] == [4]


def test_test_modules_export_nothing():
    assert rows("def test_a(): ...\ndef shared(): ...", "tests/test_a") == []


def test_keys_of_a_literal_are_sorted():
    assert keys("def f():\n    return {'b': 1, 'a': 2}") == ["a", "b"]


def test_keys_of_a_dictionary_built_in_a_local_variable():
    source = """
def f(x):
    out: dict = {"loss": x}
    out["acc"] = 1
    if x:
        out.update({"extra": 2}, named=3)
    out |= dict(more=4)
    out.setdefault("last", 5)
    return out
"""
    assert keys(source) == ["acc", "extra", "last", "loss", "more", "named"]


def test_keys_over_several_returns_are_joined_and_none_is_passed_over():
    assert keys("def f(x):\n    if x:\n        return None\n    return {'a': 1} if x else {'b': 2}") == ["a", "b"]


def test_keys_come_through_functions_of_the_task():
    source = "def f():\n    return {**_base(), 'b': 1}\ndef _base():\n    return {'a': 1}"
    assert keys(source) == ["a", "b"]


def test_the_keys_of_a_nested_function_are_not_those_of_the_outer_one():
    assert keys("def f():\n    def g():\n        return {'a': 1}\n    return {'b': g}") == ["b"]


@pytest.mark.parametrize(
    "body",
    [
        "return x",
        "return {k: 1 for k in x}",
        "out = {}\n    out[x] = 1\n    return out",
        "out = {'a': 1}\n    out.update(x)\n    return out",
        "out = load(x)\n    out['a'] = 1\n    return out",
        "return {'a': 1}, 2",
        "if x:\n        return {'a': 1}\n    return other(x)",
        "for out in x:\n        out['a'] = 1\n    return out",
        "return f(x)",
        "pass",
    ],
)
def test_keys_that_cannot_be_derived_are_not_claimed(body):
    assert keys(f"def f(x):\n    {body}") is None


def test_mutual_recursion_ends():
    assert keys("def f():\n    return g()\ndef g():\n    return f()") is None
