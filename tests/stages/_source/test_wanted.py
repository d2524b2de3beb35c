"""Which texts a rule about soundness wants to read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stages._source.wanted import Wanted, lines_of
from stages.logic import stage
from tests.builders import run_stage


@pytest.mark.parametrize(
    ("wanted", "reads"),
    [
        (Wanted(), True),
        (Wanted(every=(b"one", b"two")), True),
        (Wanted(every=(b"one", b"three")), False),
        (Wanted(some=(b"three", b"two")), True),
        (Wanted(some=(b"three",)), False),
        (Wanted(never=(b"two",)), False),
        (Wanted(pattern=re.compile(rb"o\w+ t")), True),
        (Wanted(every=(b"one",), test=lambda data: len(data) > 100), False),
    ],
)
def test_every_condition_must_hold(wanted: Wanted, reads: bool) -> None:
    assert wanted.within(b"one two") is reads


def test_lines_end_with_the_word() -> None:
    assert list(lines_of(b"a x\nb x x\nc", b"x")) == [b"a x", b"b x", b"b x x"]
    assert list(lines_of(b"a", b"x")) == []


FAULT = "import torch\n\n\ndef prepare(model):\n    torch.compile(model)\n    return model\n"


@pytest.mark.parametrize(("path", "rules"), [("a.py", ["MOD504"]), ("tests/test_a.py", [])])
def test_tests_are_left_out(path: str, rules: list[str], tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(FAULT)
    assert [item.rule for item in run_stage(stage.STAGE, tmp_path, [path]).findings] == rules
