"""Files are replaced whole, with their modes, all of them or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from verifier.errors import OutputError
from verifier.fixing.saving import save


def test_the_mode_stays_and_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    path.chmod(0o755)
    save([(path, b"old", b"new")])
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o755
    assert [one.name for one in tmp_path.iterdir()] == ["a.py"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path, link = tmp_path / "real" / "a.py", tmp_path / "link.py"
    path.write_bytes(b"old")
    link.symlink_to(path)
    save([(link, b"old", b"new")])
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_a_file_that_somebody_else_changed_stops_all(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_bytes(b"old")
    second.write_bytes(b"changed meanwhile")
    with pytest.raises(OutputError, match=r"b\.py was changed by somebody else"):
        save([(first, b"old", b"new"), (second, b"old", b"new")])
    assert first.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.py", "b.py"]


def test_a_write_protected_file_stops_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    for path in (first, second):
        path.write_bytes(b"old")
    # root may write everything, so what the system answers to others is answered here
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "b.py")
    with pytest.raises(OutputError, match=r"b\.py cannot be written: it is write-protected"):
        save([(first, b"old", b"new"), (second, b"old", b"new")])
    assert first.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.py", "b.py"]
