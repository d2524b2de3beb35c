"""Lines around findings are those of the file, and no file is split before somebody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from verifier.model.finding import Location
from verifier.snippets import Snippets
from verifier.sources import SourceFile, SourceTree


@pytest.fixture
def sources(tmp_path: Path) -> SourceTree:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("".join(f"{name} {number}\n" for number in range(1, 10)))
    return SourceTree(tmp_path, [SourceFile(name, tmp_path / name) for name in ("a.py", "b.py")])


def test_two_lines_before_and_after_each_place(sources: SourceTree) -> None:
    snippets = Snippets([Location(path="a.py", line=1), Location(path="b.py", line=5)], sources)
    assert list(snippets) == [("a.py", 1), ("a.py", 2), ("a.py", 3), *(("b.py", line) for line in range(3, 8))]
    assert len(snippets) == 8
    assert snippets["b.py", 5] == "b.py 5"
    assert ("a.py", 4) not in snippets
    assert snippets == dict(snippets.items())


def test_what_is_no_file_or_no_line_of_it_has_none(sources: SourceTree) -> None:
    snippets = Snippets([Location(path="gone.py"), Location(path="a.py", line=100)], sources)
    assert dict(snippets) == {}
    assert snippets.get(("gone.py", 1)) is None
    assert snippets.get(("b.py", 1)) is None


def test_a_file_is_read_when_it_is_asked_for(sources: SourceTree, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    lines_of = SourceFile.lines_of
    monkeypatch.setattr(SourceFile, "lines_of", staticmethod(lambda data: asked.append(data) or lines_of(data)))
    snippets = Snippets([Location(path="a.py"), Location(path="b.py")], sources)
    assert asked == []
    assert snippets["a.py", 1] == "a.py 1"
    assert snippets["a.py", 2] == "a.py 2"
    assert len(asked) == 1
