"""What is kept of a scan is the scan."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.syntax.kept import KeptScans
from stages.syntax.scan import scan_all
from verifier.api import Shelf, SourceFile
from verifier.cache.store import Store

_FILES = {
    "plain.py": (
        "import os\nfrom .a import b as c, d\nfrom x import *\n\n\ndef f():\n    import y\n    return absent, z\n"
    ),
    "broken.py": "def f(:\n",
    "warns.py": "x = 1 is 1\ny = '\\d'\n",
    "null.py": "\0",
    "dynamic.py": (
        "import builtins\nbuiltins.given = 1\nglobals()['a'] = 2\n\n\ndef __getattr__(name):\n    return name\n"
    ),
    "other.py": "def one():\n    from a import b\n\n\ndef two():\n    return b\n",
}


def _silent(_line: str) -> None:
    return None


def _files(folder: Path) -> list[SourceFile]:
    """New objects each time: a scan is also kept with the object of its file."""
    return [SourceFile(name, folder / name) for name in _FILES]


@pytest.fixture(autouse=True)
def _written(tmp_path: Path) -> None:
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)


def _kept(tmp_path: Path) -> KeptScans:
    return KeptScans(Shelf(Store(tmp_path / "base" / "p-0123456789abcdef"), "scans"))


def test_scans_come_back_as_they_were(tmp_path: Path) -> None:
    expected = scan_all(_files(tmp_path), jobs=1, progress=_silent)
    assert scan_all(_files(tmp_path), jobs=1, progress=_silent, kept=_kept(tmp_path)) == expected
    assert set(_kept(tmp_path).known(_files(tmp_path))) == set(_FILES)
    assert scan_all(_files(tmp_path), jobs=1, progress=_silent, kept=_kept(tmp_path)) == expected


def test_only_what_has_changed_is_scanned(tmp_path: Path) -> None:
    scan_all(_files(tmp_path), jobs=1, progress=_silent, kept=_kept(tmp_path))
    (tmp_path / "plain.py").write_text("import sys\n")
    assert set(_kept(tmp_path).known(_files(tmp_path))) == set(_FILES) - {"plain.py"}
    now = scan_all(_files(tmp_path), jobs=1, progress=_silent, kept=_kept(tmp_path))
    assert now == scan_all(_files(tmp_path), jobs=1, progress=_silent)


def test_the_same_text_under_another_name_is_another_file(tmp_path: Path) -> None:
    scan_all(_files(tmp_path), jobs=1, progress=_silent, kept=_kept(tmp_path))
    moved = SourceFile("moved.py", tmp_path / "plain.py")
    assert _kept(tmp_path).known([moved]) == {}


def test_what_could_not_be_read_is_not_kept(tmp_path: Path) -> None:
    file = SourceFile("absent.py", tmp_path / "absent.py")
    scan_all([file], jobs=1, progress=_silent, kept=_kept(tmp_path))
    assert _kept(tmp_path).known([file]) == {}
