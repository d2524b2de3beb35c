"""Whatever a stage looks at is noted, and each change of it is seen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verifier.cache import seen, stamps
from verifier.cache.codec import seen_from_json, seen_to_json
from verifier.cache.unchanged import still_true
from verifier.sources import SourceFile, read_regular

if TYPE_CHECKING:
    from verifier.cache.seen import Seen


@pytest.fixture(autouse=True, params=[2_000_000_000, 0], ids=["digests", "stamps"])
def _tick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Once with files too young for their stamps to be believed, once without that care."""
    monkeypatch.setattr(stamps, "_TICK_NS", request.param)
    yield
    seen._noting.clear()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "a.txt").write_text("a")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "target")
    return tmp_path


def _look(tree: Path) -> Seen:
    seen.start()
    read_regular(tree / "folder" / "a.txt")
    with pytest.raises(OSError, match="No such file"):
        read_regular(tree / "absent.txt")
    SourceFile("folder/a.txt", tree / "folder" / "a.txt")
    seen.to_list(tree / "folder")
    assert seen.is_folder(tree / "folder")
    assert not seen.is_file(tree / "absent")
    assert not seen.is_there(tree / "absent")
    found = seen.stop()
    return seen_from_json(seen_to_json(found))


def _same(found: Seen) -> bool:
    return still_true(found, lambda: "") is not None


def test_nothing_changed(tree: Path) -> None:
    assert _same(_look(tree))


def _rewrite(path: Path) -> None:
    status = path.stat()
    time.sleep(0.02)  # more than a tick of the kernel's clock
    path.write_text("b")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and time as they were


def _turn_into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_CHANGES: dict[str, Callable[[Path], object]] = {
    "other bytes, same size and time": lambda tree: _rewrite(tree / "folder" / "a.txt"),
    "gone": lambda tree: (tree / "folder" / "a.txt").unlink(),
    "a file more": lambda tree: (tree / "folder" / "b.txt").write_text(""),
    "a folder instead of a file": lambda tree: _turn_into_folder(tree / "folder" / "a.txt"),
    "a folder more": lambda tree: (tree / "folder" / "more").mkdir(),
    "another name": lambda tree: (tree / "folder" / "below").rename(tree / "folder" / "beneath"),
    "what a link leads to": lambda tree: (tree / "target").mkdir(),
    "what was absent": lambda tree: (tree / "absent.txt").write_text(""),
    "what was asked for": lambda tree: (tree / "absent").mkdir(),
}


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES.keys())
def test_each_change_is_seen(tree: Path, change: Callable[[Path], object]) -> None:
    found = _look(tree)
    change(tree)
    assert not _same(found)


def test_what_python_itself_leaves_is_no_change(tree: Path) -> None:
    found = _look(tree)
    (tree / "folder" / "__pycache__").mkdir()
    (tree / "folder" / "a.txt").touch()
    assert _same(found)


def test_what_may_differ_next_time_is_never_the_same(tree: Path) -> None:
    seen.start()
    seen.may_differ_next_time("a worker was ended")
    found = seen.stop()
    assert not _same(found)


def test_the_rest_of_the_project_counts_once_it_was_asked_for(tree: Path) -> None:
    seen.start()
    seen.note_rest([SourceFile("folder/a.txt", tree / "folder" / "a.txt", noted=False)])
    found = seen.stop()
    assert found.rest is not None
    assert still_true(found, lambda: found.rest or "") is found
    assert still_true(found, lambda: "another") is None


def test_walking_is_like_os_walk_and_notes_every_folder(tree: Path) -> None:
    (tree / "folder" / "below" / "deep").mkdir()
    (tree / "z").mkdir()
    seen.start()
    rows = []
    for folder, below, files in seen.walk_folders(tree):
        below.sort()
        rows.append((folder, list(below), sorted(files)))
    found = seen.stop()
    expected = []
    for folder, below, files in os.walk(tree):
        below.sort()
        expected.append((folder, list(below), sorted(files)))
    assert rows == expected
    assert set(found.folders) == {folder for folder, _, _ in expected}


def test_notes_travel_from_a_worker(tree: Path) -> None:
    seen.start()
    seen.is_file(tree / "first")
    sent = seen.taken_notes()  # as in a copy of the process
    assert sent is not None
    seen.is_file(tree / "second")
    seen.add_notes(sent)
    found = seen.stop()
    assert sorted(found.kinds) == [str(tree / "first"), str(tree / "second")]


def test_two_processes_that_saw_different_things_saw_a_changing_tree(tree: Path) -> None:
    seen.start()
    read_regular(tree / "folder" / "a.txt")
    sent = seen.taken_notes()
    (tree / "folder" / "a.txt").write_text("other")
    read_regular(tree / "folder" / "a.txt")
    seen.add_notes(sent)
    found = seen.stop()
    assert not _same(found)


def test_nothing_is_noted_where_nobody_asked(tree: Path) -> None:
    read_regular(tree / "folder" / "a.txt")
    assert seen.is_folder(tree / "folder")
    seen.may_differ_next_time("whatever")
    assert seen.taken_notes() is None


def test_stamps_that_have_become_reliable_are_taken_over(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _look(tree)
    monkeypatch.setattr(stamps, "_TICK_NS", 0)
    renewed = still_true(found, lambda: "")
    assert renewed is not None
    assert renewed.files[str(tree / "folder" / "a.txt")][0] is not None
    (tree / "folder" / "a.txt").touch()
    again = still_true(renewed, lambda: "")
    assert again is not None
    assert again is not renewed
    assert again.files != renewed.files
