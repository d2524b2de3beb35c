"""The list of a report is one that `sha256sum --check` takes, whatever the files are called."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.writing.checksums import LIST, as_list, digest, read_list

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(st.dictionaries(NAMES, st.binary(max_size=20)))
def test_what_is_listed_is_read_again(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_bytes(as_list(files))
        read = read_list(path)
        assert read.keys() == files.keys()
        for name, data in files.items():
            Path(folder, "data").write_bytes(data)
            assert read[name] == digest(Path(folder, "data"))


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
@settings(max_examples=20)
@given(st.dictionaries(NAMES.filter(lambda name: len(name.encode()) < 100), st.binary(max_size=20), min_size=1))
def test_coreutils_agree(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        checked = subprocess.run(
            ["sha256sum", "--check", "--strict", "-"], cwd=folder, input=as_list(files), check=False
        )
        assert checked.returncode == 0
        Path(folder, min(files)).write_bytes(b"something else, longer than any of them")
        checked = subprocess.run(["sha256sum", "--check", "--status"], cwd=folder, input=as_list(files), check=False)
        assert checked.returncode == 1


@pytest.mark.parametrize(
    "text", [None, "", "a list of my own\n", f"{'0' * 64}  a\nno list\n", f"{'0' * 64}  ../a\n", f"{'0' * 64}  /a\n"]
)
def test_what_is_no_list_of_ours_lists_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / LIST).write_text(text)
    assert read_list(tmp_path / LIST) == {}
    assert read_list(tmp_path / LIST / "below a file") == {}
