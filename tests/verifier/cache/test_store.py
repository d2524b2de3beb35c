"""An entry is whole or not there, whoever wrote it and whatever the disk does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verifier.cache.store import Store

_NAME = "entry.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "base" / "project-0123456789abcdef")


def test_what_is_written_is_read_again(store: Store) -> None:
    value = {"a": [1, 2.5, None, True, "text \udc80 ü"], "b": {}}
    store.write(_NAME, value)
    assert store.read(_NAME) == value
    assert Store(store.folder).read(_NAME) == value


def test_nothing_is_read_where_nothing_was_written(store: Store) -> None:
    assert store.read(_NAME) is None
    assert not store.folder.parent.exists()


def test_every_truncated_and_every_altered_entry_is_taken_for_none(store: Store) -> None:
    store.write(_NAME, {"findings": ["one", "two"]})
    path = store.folder / _NAME
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert store.read(_NAME) is None
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.read(_NAME) is None
    path.write_bytes(whole)
    assert store.read(_NAME) == {"findings": ["one", "two"]}


def test_the_folder_says_that_it_is_a_cache_and_is_nobody_elses(store: Store) -> None:
    old = os.umask(0o002)
    try:
        store.write(_NAME, 1)
    finally:
        os.umask(old)
    base = store.folder.parent
    assert (base / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (base / ".gitignore").read_text() == "*\n"
    assert [folder.stat().st_mode & 0o777 for folder in (base, store.folder)] == [0o700, 0o700]
    assert store.read(_NAME) == 1


@pytest.mark.parametrize("which", ["base", "project"])
def test_a_folder_that_others_may_write_to_is_not_believed(store: Store, which: str) -> None:
    store.write(_NAME, 1)
    (store.folder.parent if which == "base" else store.folder).chmod(0o777)
    assert Store(store.folder).read(_NAME) is None


def test_a_folder_that_is_a_link_is_not_believed(store: Store, tmp_path: Path) -> None:
    store.write(_NAME, 1)
    store.folder.rename(tmp_path / "elsewhere")
    store.folder.symlink_to(tmp_path / "elsewhere")
    assert Store(store.folder).read(_NAME) is None


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "project-0123456789abcdef")
    store.write(_NAME, 1)
    assert store.read(_NAME) is None


def test_the_oldest_entries_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path / "base" / "project-0123456789abcdef", most_bytes=1000)
    for number in range(8):
        store.write(f"{number}.json", "x" * 200)
        os.utime(store.folder / f"{number}.json", (number, number))
    assert store.read("7.json") == "x" * 200
    kept = sorted(path.name for path in store.folder.iterdir())
    assert sum((store.folder / name).stat().st_size for name in kept) <= 1000
    assert "0.json" not in kept


def test_an_entry_that_was_of_use_is_kept_for_longer(store: Store) -> None:
    store.write(_NAME, 1)
    os.utime(store.folder / _NAME, (1, 1))
    store.read(_NAME)
    assert (store.folder / _NAME).stat().st_mtime > time.time() - 60


def test_what_a_killed_run_left_is_removed_after_a_while(store: Store) -> None:
    store.write(_NAME, 1)
    for name, age_s in (("tmp-old", 7200.0), ("tmp-new", 0.0)):
        (store.folder / name).write_text("half")
        os.utime(store.folder / name, (time.time() - age_s,) * 2)
    store.write(_NAME, 2)
    assert sorted(path.name for path in store.folder.iterdir()) == [_NAME, "tmp-new"]


def test_projects_that_nobody_verifies_any_more_are_forgotten(store: Store) -> None:
    store.write(_NAME, 1)
    os.utime(store.folder / _NAME, (1, 1))
    other = Store(store.folder.parent / "other-fedcba9876543210")
    other.write(_NAME, 2)
    assert not store.folder.exists()
    assert other.read(_NAME) == 2


_FULL = """
import resource, signal, sys
from pathlib import Path
from verifier.cache.store import Store
store = Store(Path(sys.argv[1]))
store.write("entry.json", "old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
store.write("entry.json", "x" * 100_000)
store.write("another.json", "x" * 100_000)
print(store.read("entry.json"), store.read("another.json"), sorted(path.name for path in Path(sys.argv[1]).iterdir()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of POSIX")
def test_a_write_that_breaks_off_leaves_the_old_entry_and_nothing_else(store: Store) -> None:
    done = subprocess.run([sys.executable, "-c", _FULL, str(store.folder)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("old None ['entry.json']\n", "")


def test_values_that_are_no_json_are_not_kept(store: Store) -> None:
    store.write(_NAME, {"a": {1, 2}})
    assert store.read(_NAME) is None


def test_an_entry_is_plain_text(store: Store) -> None:
    store.write(_NAME, {"a": 1})
    head, body = (store.folder / _NAME).read_bytes().split(b"\n", 1)
    assert head.startswith(b"verify-cache 1 ")
    assert json.loads(body) == {"a": 1}
