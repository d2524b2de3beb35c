"""Names in annotations: evaluated ones fail for real, the others are LOW."""

from __future__ import annotations

import pytest

from tests.stages.syntax.names.sources import codes


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("def f(x: Missing): ...", "CRITICAL"),
        ("x: Missing = 1", "CRITICAL"),
        ("class A:\n    x: Missing", "CRITICAL"),
        ("def f(x: 'Missing'): ...", "LOW"),
        ("def f() -> 'list[Missing]': ...", "LOW"),
        ("def f(x: list['Missing']): ...", "LOW"),
        ("def f():\n    x: Missing = 1", "LOW"),
        ("def f(self):\n    self.x: Missing = 1", "LOW"),
        ("from __future__ import annotations\ndef f(x: Missing): ...", "LOW"),
        ("from __future__ import annotations\nclass A:\n    x: list['Missing']", "LOW"),
        ("from typing import cast\ny = cast('Missing', 1)", "LOW"),
        ("from typing import TypeVar\nT = TypeVar('T', bound='Missing')", "LOW"),
        ("from typing import Optional\nAlias = Optional['Missing']", "LOW"),
        ("def f(x: 'Missing' = 'mean', *, y: int = 3): ...", "LOW"),
    ],
)
def test_an_undefined_name_is_as_bad_as_its_evaluation(text: str, severity: str) -> None:
    assert [(code, level, name) for code, level, _line, name in codes(text)] == [("SCP001", severity, "Missing")]


@pytest.mark.parametrize(
    "text",
    [
        "from typing import Literal\ndef f(x: Literal['a', 'b'] = 'a'): ...",
        "from typing import Annotated\ndef f(x: Annotated[int, 'in metres']): ...",
        "from __future__ import annotations\nfrom typing import Literal\nx: Literal['a']",
        "class A:\n    def f(self) -> 'A': ...",
        "def f(x: 'not a type at all'): ...",
        "def f():\n    class B: ...\n    def g(x: 'B'): ...\n    return g",
        "from jaxtyping import Float\ndef f(x: Float[list, 'batch'], y: list[Float['b']]): ...",
        "import jaxtyping as jt\ndef f(x: jt.Float[list, 'batch']): ...",
        "from torchtyping import TensorType\ndef f() -> 'TensorType[\\'batch\\']': ...",
        "from __future__ import annotations\nfrom jaxtyping import Int\ndef f(x: Int[list, 'batch']): ...",
        "class Shape:\n    def __getitem__(self, text): return list\nInt = Shape()\ndef f(x: Int['b']): ...",
        "import tensorflow as tf\nx = {'key': 1}\ny = tf.cast(x['key'], int)",
        "y = memoryview(b'').cast('B')",
        "from __future__ import annotations\ndef f(x: Later): ...\nclass Later: ...",
        'def f(a):\n    """\n    Args:\n        a: Tensor\n    """\n    return {\n        a: a\n    }',
    ],
)
def test_what_is_no_undefined_type_is_silent(text: str) -> None:
    assert codes(text) == []


def test_an_evaluated_annotation_of_a_later_class_fails() -> None:
    assert codes("def f(x: Later): ...\nclass Later: ...") == [("SCP003", "CRITICAL", 1, "Later")]


@pytest.mark.parametrize(
    "text",
    [
        "from jaxtyping import Float\nimport typing\ndef f(x: Float[typing.List['Gone'], 'batch']): ...",
        "import typing as t\ny = t.cast('Gone', 1)",
        "from typing import cast as as_type, cast\ny = cast('list[Gone]', 1)",
    ],
)
def test_a_type_beside_what_is_none_is_still_looked_up(text: str) -> None:
    assert [(code, level, name) for code, level, _line, name in codes(text)] == [("SCP001", "LOW", "Gone")]
