"""Facts about single things: what is asked for stays, and a small change rewrites a small part."""

from __future__ import annotations

from pathlib import Path

from verifier.cache.shelf import Shelf
from verifier.cache.store import Store


def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "base" / "p-0123456789abcdef")


def test_what_was_put_is_there_in_the_next_run(tmp_path: Path) -> None:
    shelf = Shelf(_store(tmp_path), "facts")
    for number in range(100):
        shelf.put(f"key {number}", [number])
    assert shelf.get("key 7") == [7]
    shelf.save()
    later = Shelf(_store(tmp_path), "facts")
    assert [later.get(f"key {number}") for number in range(100)] == [[number] for number in range(100)]
    assert later.get("another") is None
    assert Shelf(_store(tmp_path), "others").get("key 7") is None


def test_one_change_rewrites_one_part(tmp_path: Path) -> None:
    store = _store(tmp_path)
    shelf = Shelf(store, "facts")
    for number in range(100):
        shelf.put(f"key {number}", [number])
    shelf.save()
    before = {path.name: path.stat().st_ino for path in store.folder.iterdir()}
    later = Shelf(store, "facts")
    later.put("key 7", ["new"])
    later.save()
    after = {path.name: path.stat().st_ino for path in store.folder.iterdir()}
    assert sum(before[name] != after[name] for name in before) == 1


def test_what_nobody_asks_for_any_more_is_dropped_once_it_is_much(tmp_path: Path) -> None:
    store = _store(tmp_path)
    shelf = Shelf(store, "facts")
    for number in range(10_000):
        shelf.put(f"old {number}", [number])
    shelf.save()
    later = Shelf(store, "facts")
    later.put("new", 1)
    later.save()
    last = Shelf(store, "facts")
    assert last.get("new") == 1
    assert sum(last.get(f"old {number}") is not None for number in range(10_000)) < 10_000
