"""A tree whose folders have not changed is not walked again, and every change of what counts is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from verifier.cache import stamps, walks
from verifier.cache.store import Store
from verifier.cache.walks import walk_again
from verifier.discovery import walk


@pytest.fixture(autouse=True, params=[2_000_000_000, 0], ids=["digests", "stamps"])
def _tick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_TICK_NS", request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "p/a.py",
        "p/deep/b.py",
        "p/venv/pyvenv.cfg",
        "p/venv/c.py",
        "p/.hidden/d.py",
        "p/out/e.py",
        "else/f.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "p" / ".git").mkdir()
    (tmp_path / "p" / ".gitignore").write_text("out\n")
    (tmp_path / "p" / "link").symlink_to(tmp_path / "else")
    return tmp_path / "p"


def _walked(tree: Path, start: str = ".") -> list[str]:
    return [str(path) for path in walk(tree / start, root=tree)]


def _again(tree: Path, start: str = ".") -> list[str]:
    told: list[Path] = []
    store = Store(tree.parent / "cache" / "p-0123456789abcdef")
    return walk_again(
        store, "v1", tree / start, root=tree, exclude=(), unlisted=lambda folder, _error: told.append(folder)
    )


def test_the_second_walk_looks_into_no_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _again(tree)
    assert first == _walked(tree)
    monkeypatch.setattr(walks, "walk", None)
    assert _again(tree) == first


_CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda tree: (tree / "deep" / "new.py").write_text(""),
    "a file less": lambda tree: (tree / "a.py").unlink(),
    "a folder more": lambda tree: (tree / "more").mkdir(),
    "another name": lambda tree: (tree / "deep").rename(tree / "deeper"),
    "other rules": lambda tree: (tree / ".gitignore").write_text("deep\n"),
    "rules below": lambda tree: (tree / "deep" / ".gitignore").write_text("b.py\n"),
    "no rules": lambda tree: (tree / ".gitignore").unlink(),
    "no environment any more": lambda tree: (tree / "venv" / "pyvenv.cfg").unlink(),
    "an environment": lambda tree: (tree / "deep" / "pyvenv.cfg").write_text(""),
    "a link to a file": lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to(tree / "a.py")),
    "no repository any more": lambda tree: (tree / ".git").rmdir(),
}


@pytest.mark.parametrize("start", [".", "deep"])
@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES.keys())
def test_each_change_is_seen(tree: Path, change: Callable[[Path], object], start: str) -> None:
    _again(tree, start)
    change(tree)
    assert _again(tree, start) == _walked(tree, start)


def test_a_link_that_leads_elsewhere_now_is_seen(tree: Path) -> None:
    _again(tree)
    (tree.parent / "else").rename(tree.parent / "gone")
    (tree.parent / "else").write_text("")
    assert _again(tree) == _walked(tree)
