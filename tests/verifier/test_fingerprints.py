"""Fingerprints survive moved lines and tell equal statements apart."""

from __future__ import annotations

from pathlib import Path

from verifier.api import Finding, Location, Severity, SourceFile, SourceTree
from verifier.fingerprints import fingerprints


def _marks(root: Path, text: str, *lines: int) -> list[str]:
    (root / "a.py").write_text(text)
    sources = SourceTree(root, [SourceFile("a.py", root / "a.py")])
    findings = [
        Finding(rule="TST001", severity=Severity.LOW, message="m", location=Location(path="a.py", line=line))
        for line in lines
    ]
    return fingerprints(findings, sources)


def test_moved_and_reindented_code_keeps_its_fingerprint(tmp_path: Path) -> None:
    assert _marks(tmp_path, "clip( x )\n", 1) == _marks(tmp_path, "\n\n    clip(  x )\n", 3)


def test_changed_code_gets_another(tmp_path: Path) -> None:
    assert _marks(tmp_path, "clip(x)\n", 1) != _marks(tmp_path, "clip(y)\n", 1)


def test_equal_statements_are_told_apart_in_file_order(tmp_path: Path) -> None:
    text = "clip(x)\nclip(x)\n"
    first, second = _marks(tmp_path, text, 1, 2)
    assert first != second
    assert _marks(tmp_path, text, 2, 1) == [second, first]


def test_a_place_outside_the_file_still_has_one(tmp_path: Path) -> None:
    assert len(_marks(tmp_path, "", 7)[0]) == 20
