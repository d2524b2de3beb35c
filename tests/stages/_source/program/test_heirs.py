"""In which texts an heir of a class may stand: no heir that the syntax tree shows is missed."""

from __future__ import annotations

import pytest

from stages._source.program.heirs import Heirs


@pytest.mark.parametrize(
    "text",
    [
        "class B(A): ...",
        "class B(a.b.A, Generic[T]):\n    ...",
        "class B(\n    A,  # the base\n):\n    ...",
        "from m import A as Base\nclass B(Base): ...",
        "import m\nBase = m.A\nclass B(Base): ...",
        "class B(Other, metaclass=A): ...",
    ],
)
def test_a_file_with_an_heir_is_found(text: str) -> None:
    assert Heirs({"b.py": f"x = 1\n{text}\n".encode()}).files("A") == {"b.py"}


def test_heirs_of_heirs_are_heirs() -> None:
    texts = {
        "a.py": b"class A: ...",
        "b.py": b"class B(A): ...",
        "c.py": b"class C(B): ...",
        "d.py": b"class D(Other): ...",
    }
    assert Heirs(texts).files("A") == {"b.py", "c.py"}
    assert Heirs(texts).files("D") == frozenset()


def test_a_circle_of_bases_ends() -> None:
    assert Heirs({"a.py": b"class A(B): ...\nclass B(A): ...\n"}).files("A") == {"a.py"}
