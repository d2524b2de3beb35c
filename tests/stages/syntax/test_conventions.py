"""Conventions are counted as the source has them; only tabs among spaces are a finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.syntax.conventions import conventions
from verifier.api import Finding, SourceFile


def read(root: Path, text: str, name: str = "a.py") -> tuple[dict[str, Any], list[Finding]]:
    (root / name).write_bytes(text.encode())
    found = conventions([SourceFile(name, root / name)])
    row: Any = found.rows[0]
    return row, list(found.findings)


def test_public_definitions_are_counted_with_their_docstrings_and_annotations(tmp_path: Path) -> None:
    text = '''"""Module."""
def a(x: int, *rest: int, **more: int) -> int:
    """Say."""
def b(x, y: int = 1) -> None: ...
def _hidden(): ...
class C:
    """Say."""
    def method(self, x: int) -> None: ...
    def __init__(self, x): ...
    def _own(self): ...
class _D:
    def method(self): ...
if True:
    def late() -> None: ...
'''
    row, _ = read(tmp_path, text)
    assert (row["functions"], row["classes"], row["docstrings"], row["annotated"]) == (4, 1, 2, 3)
    assert row["module_docstring"] is True
    assert row["test"] is False


def test_a_file_of_tests_says_so(tmp_path: Path) -> None:
    assert read(tmp_path, "x = 1\n", "test_a.py")[0]["test"] is True


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("x = 1\n", ""),
        ("if x:\n  y = 1\n", "2 spaces"),
        ("if x:\n\ty = 1\n\tif z:\n\t\ty = 2\n", "tab"),
        ("if x:\n    y = 1\nif z:\n  y = 2\nelse:\n    y = 3\n", "4 spaces in 2 blocks, 2 spaces in 1 block"),
        ("if x: y = 1\n", ""),
        ("class A:\n    def f(\n            self,\n    ):\n        return (\n  1)\n", "4 spaces"),
        ("if x:\r\n    y = 1\r\n", "4 spaces"),
        ("def f(): return 1\nx = [\n\t1]\n", ""),
        ("@d\ndef f():\n    return 1\n", "4 spaces"),
        ("try:\n    a\nexcept E:\n    b\nfinally:\n    c\n", "4 spaces"),
    ],
)
def test_the_unit_of_indentation_is_that_of_the_blocks(tmp_path: Path, text: str, unit: str) -> None:
    row, findings = read(tmp_path, text)
    assert row["indent"] == unit
    assert findings == []


def test_tabs_among_spaces_are_told_at_the_rarer_ones(tmp_path: Path) -> None:
    row, (found,) = read(
        tmp_path, "if a:\n    x = 1\nif b:\n    x = 2\nif c:\n\tx = 3\nif d:\n    x = 4\nif e:\n\tx = 5\n"
    )
    assert (found.rule, found.location.line) == ("LNT002", 6)
    assert [place.location.line for place in found.related] == [10]
    assert row["indent"] == "4 spaces in 3 blocks, tab in 2 blocks"


def test_names_that_follow_no_convention_are_listed(tmp_path: Path) -> None:
    text = """
class autocast: ...
class _Private: ...
class GPT2Model: ...
def computeLoss(): ...
def grad_norm_(): ...
def _x1(): ...
class Visitor:
    def visit_Name(self): ...
    def setUp(self): ...
    def __call__(self): ...
    def toDevice(self): ...
"""
    row, findings = read(tmp_path, text)
    assert [(item["kind"], item["name"], item["line"]) for item in row["naming"]] == [
        ("class", "autocast", 2),
        ("function", "computeLoss", 5),
        ("function", "toDevice", 12),
    ]
    assert findings == []


def test_a_file_that_does_not_parse_has_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(:\n")
    assert conventions([SourceFile("a.py", tmp_path / "a.py")]).rows == ()
