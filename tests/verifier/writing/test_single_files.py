"""Beside other people's files only those of the report are replaced, and a report that cannot be finished is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verifier.writing.test_whole_folder import found, report
from verifier.writing import single_files
from verifier.writing.checksums import LIST, as_list
from verifier.writing.single_files import replace_files


@pytest.mark.parametrize("ours", [True, False])
def test_other_peoples_files_stay_and_files_of_an_older_report_only_where_they_may(tmp_path: Path, ours: bool) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/mine.txt").write_text("mine")
    replace_files(report("first", "report.json", "pages/a.md"), tmp_path, ours=ours)
    replace_files(report("second", "report.json"), tmp_path, ours=ours)
    mine = {"notes.txt": b"mine", "pages/mine.txt": b"mine"}
    assert found(tmp_path) == report("second", "report.json") | mine | ({} if ours else {"pages/a.md": b"first"})


def test_a_link_to_a_file_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.json").symlink_to(tmp_path / "precious")
    replace_files(report("first"), tmp_path / "out", ours=False)
    assert (tmp_path / "precious").read_text() == "mine"
    assert found(tmp_path / "out") == report("first")


def test_a_file_that_cannot_be_replaced_leaves_all_the_others_as_they_were(tmp_path: Path) -> None:
    replace_files(report("first"), tmp_path, ours=False)
    (tmp_path / "report.md").unlink()
    (tmp_path / "report.md").mkdir()  # it is in the way, and somebody's
    before = found(tmp_path)
    with pytest.raises(OSError, match=r"report\.md"):
        replace_files(report("second"), tmp_path, ours=False)
    assert found(tmp_path) == before
    assert not (tmp_path / ".verify-writing").exists()


def test_without_hard_links_the_old_files_are_kept_as_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(single_files.os, "link", refuse)
    replace_files(report("first"), tmp_path, ours=False)
    (tmp_path / LIST).unlink()
    (tmp_path / LIST).mkdir()
    before = found(tmp_path)
    with pytest.raises(OSError, match="sha256"):  # the last of them
        replace_files(report("second"), tmp_path, ours=False)
    assert found(tmp_path) == before


def test_a_hostile_project_cannot_have_files_elsewhere_removed_or_replaced(tmp_path: Path) -> None:
    """The folder comes with the project: a list of its making, a link, and the remains of a run that never was."""
    home, folder = tmp_path / "home", tmp_path / "T"
    home.mkdir()
    (home / ".profile").write_text("mine")
    folder.mkdir()
    (folder / "pages").symlink_to(home)
    stolen = {"pages/.profile": b"mine"}
    (folder / LIST).write_bytes(as_list(stolen))
    work = folder / ".verify-writing"
    (work / "new").mkdir(parents=True)
    (work / "new" / LIST).write_bytes(as_list(stolen))
    (work / "old/pages").mkdir(parents=True)
    (work / "old/pages/.login").write_text("theirs")
    replace_files(report("first", "report.json"), folder, ours=True)
    assert found(home) == {".profile": b"mine"}
    (work / "new").mkdir(parents=True)
    (work / "old").symlink_to(home)
    (work / "new" / LIST).write_bytes(as_list({"report.json": b"first"}))
    replace_files(report("second", "report.json"), folder, ours=True)
    assert found(home) == {".profile": b"mine"}
