"""A report replaces the one before as a whole, for whoever reads at that moment, and takes nothing else with it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verifier.errors import OutputError
from verifier.writing import whole_folder, workshop
from verifier.writing.checksums import LIST, as_list
from verifier.writing.whole_folder import replace_folder

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from pathlib import Path
from verifier.writing.checksums import as_list
from verifier.writing.whole_folder import replace_folder
for number in range(40):
    text = f"{sys.argv[2]} {number}".encode()
    files = {name: text for name in ("a.md", "pages/b.md", "report.json")}
    assert replace_folder(files | {"report.sha256": as_list(files)}, Path(sys.argv[1]))
"""


def report(text: str, *names: str) -> dict[str, bytes]:
    files = {name: text.encode() for name in names or ("report.json", "report.md", "pages/a.md")}
    return files | {LIST: as_list(files)}


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_new_report_takes_the_place_of_the_old_one_and_nothing_is_left(tmp_path: Path) -> None:
    for files in (report("first"), report("second", "report.json"), report("third", "report.json", "other.md")):
        assert replace_folder(files, tmp_path / "reports/T")
        assert found(tmp_path) == {f"reports/T/{name}": data for name, data in files.items()}


def test_the_folder_keeps_who_may_read_it(tmp_path: Path) -> None:
    replace_folder(report("first"), tmp_path / "T")
    (tmp_path / "T").chmod(0o700)
    replace_folder(report("second"), tmp_path / "T")
    assert (tmp_path / "T").stat().st_mode & 0o777 == 0o700


def test_who_has_a_file_open_reads_the_old_one_to_its_end_and_who_watches_sees_a_new_one(tmp_path: Path) -> None:
    replace_folder(report("first"), tmp_path / "T")
    before = (tmp_path / "T/report.json").stat()
    with (tmp_path / "T/report.json").open() as file:
        replace_folder(report("second"), tmp_path / "T")
        assert file.read() == "first"
    after = (tmp_path / "T/report.json").stat()
    assert (after.st_ino, after.st_mtime_ns) != (before.st_ino, before.st_mtime_ns)
    assert (tmp_path / "T/report.json").read_text() == "second"


@pytest.mark.parametrize("kind", ["file", "link", "folder with a link", "old report without its list"])
def test_a_folder_that_holds_anything_else_is_left_alone(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").write_text("mine")
    folder = tmp_path / "T"
    if kind == "link":
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        replace_folder(report("first"), folder)
    if kind == "file":
        (folder / "notes.txt").write_text("mine")
    elif kind == "folder with a link":
        (folder / "report.json").unlink()
        (folder / "report.json").symlink_to(tmp_path / "elsewhere/precious")
    elif kind == "old report without its list":
        (folder / LIST).unlink()
    before = found(tmp_path)
    assert not replace_folder(report("second"), folder)
    assert found(tmp_path) == before


def test_a_folder_that_cannot_be_moved_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: Path, other: Path) -> bool:
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(one), None, str(other))

    replace_folder(report("first"), tmp_path / "T")
    monkeypatch.setattr(whole_folder, "exchange", refuse)  # a layer of a container, say
    assert not replace_folder(report("second"), tmp_path / "T")
    assert found(tmp_path) == {f"T/{name}": data for name, data in report("first").items()}


def test_a_file_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "T").write_text("mine")
    assert not replace_folder(report("first"), tmp_path / "T")
    assert (tmp_path / "T").read_text() == "mine"


def test_a_link_in_the_place_of_our_working_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/new").write_text("mine")
    (tmp_path / workshop.NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError, match="is a link, and reports are not written through it; remove it"):
        replace_folder(report("first"), tmp_path / "T")
    assert (tmp_path / "precious/new").read_text() == "mine"


def test_what_a_killed_run_left_is_removed_but_links_in_it_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/it").write_text("mine")
    work = tmp_path / workshop.NAME
    (work / "new/pages").mkdir(parents=True)
    (work / "new/pages/link").symlink_to(tmp_path / "precious")
    (work / "aside").symlink_to(tmp_path / "precious")
    assert replace_folder(report("first"), tmp_path / "T")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T", "precious"]
    assert (tmp_path / "precious/it").read_text() == "mine"


def test_a_run_that_does_not_stop_writing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "_PATIENCE_S", 0.2)
    with (
        workshop.workshop(tmp_path, lambda _work: None),
        pytest.raises(OutputError, match="another run of verify has been writing in"),
    ):
        replace_folder(report("first"), tmp_path / "T")


def read_below(folder: int, name: str) -> str:
    with open(os.open(name, os.O_RDONLY, dir_fd=folder), encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        return file.read()


def test_several_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    """The path is never absent or half written, and a folder once opened never holds files of two runs."""
    folder = tmp_path / "T"
    replace_folder(report("0 0", "a.md", "pages/b.md", "report.json"), folder)
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("one", "two", "three")]
    reads = 0
    end = time.monotonic() + 60
    while any(writer.poll() is None for writer in writers):
        assert time.monotonic() < end
        assert (folder / "report.json").read_text().split()[0] in ("0", "one", "two", "three")
        opened = os.open(folder, os.O_RDONLY)
        try:
            texts = {read_below(opened, name) for name in ("a.md", "report.json")}
            reads += 1
        except FileNotFoundError:  # it has just been replaced: open it again
            continue
        finally:
            os.close(opened)
        assert len(texts) == 1
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert reads > 20
    assert found(tmp_path).keys() == {f"T/{name}" for name in ("a.md", "pages/b.md", "report.json", LIST)}
    assert len({data for name, data in found(folder).items() if name != LIST}) == 1
