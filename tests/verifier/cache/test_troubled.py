"""The cache under other runs, damage, and disks that refuse: the same report each time, or one clear sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.verifier.cache.project import make

_COMMAND = (
    *("check", "pkg", "train.py", "--stage", "syntax", "--stage", "logic"),
    *("--output", "-", "--format", "json", "-q"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "p")
    return tmp_path / "p"


def _start(root: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "VERIFY_CACHE_DIR": str(root.parent / "cache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-P", "-m", "verifier", *_COMMAND, *options]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _end(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, "")
    report: dict[str, Any] = json.loads(out)
    report["tool"].pop("command")
    for stage in report["stages"]:
        stage.pop("duration_s")
    return report


def test_eight_runs_at_once_say_what_one_says(root: Path) -> None:
    expected = _end(_start(root, "--no-cache"))
    for _ in range(2):  # an empty cache, then a full one
        assert [_end(process) for process in [_start(root) for _ in range(8)]] == [expected] * 8
    folder = next(path for path in (root.parent / "cache").iterdir() if path.is_dir())
    assert [path.name for path in folder.iterdir() if path.name.startswith("tmp-")] == []


def test_a_run_that_is_killed_leaves_nothing_that_misleads(root: Path) -> None:
    expected = _end(_start(root, "--no-cache"))
    for limit_s in (0.3, 0.45, 0.6, 0.75):
        process = _start(root)
        try:
            process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert _end(_start(root)) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")
def test_entries_that_are_damaged_or_no_files_cost_nothing(root: Path) -> None:
    expected = _end(_start(root))
    folder = next(path for path in (root.parent / "cache").iterdir() if path.is_dir())
    entries = sorted(folder.iterdir())
    entries[0].write_bytes(entries[0].read_bytes()[:-7])
    entries[1].write_bytes(b"")
    assert _end(_start(root)) == expected
    entries[0].unlink()
    entries[0].mkdir()
    entries[1].unlink()
    os.mkfifo(entries[1])
    assert _end(_start(root)) == expected
    assert _end(_start(root)) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the device is one of Linux")
def test_a_full_disk_costs_nothing(root: Path) -> None:
    """The limit stands for a full disk: what the run itself writes is shorter, entries are longer."""
    expected = _end(_start(root, "--no-cache"))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512));"
        f"sys.argv = ['verify', *{_COMMAND!r}]; from verifier.cli import entry; entry()"
    )
    environment = {**os.environ, "VERIFY_CACHE_DIR": str(root.parent / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert [stage["status"] for stage in _end(process)["stages"]] == [stage["status"] for stage in expected["stages"]]
    assert [path.name for path in (root.parent / "cache").rglob("*") if path.name.startswith(("tmp-", "syntax-"))] == []


@pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")
def test_a_cache_that_cannot_be_written_is_still_read(root: Path) -> None:
    expected = _end(_start(root))
    cache = root.parent / "cache"
    folder = next(path for path in cache.iterdir() if path.is_dir())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.chmod(0o500)
    try:
        assert _end(_start(root)) == expected
        (root / "pkg" / "new.py").write_text("x = absent\n")
        changed = _end(_start(root))
        assert changed == _end(_start(root, "--no-cache"))
        if os.geteuid():  # nothing is closed to root
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    finally:
        folder.chmod(0o700)


def test_a_cache_that_came_with_the_tree_is_not_believed(root: Path) -> None:
    expected = _end(_start(root))
    (root.parent / "cache").rename(root / ".cache")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "verifier", *_COMMAND],
        cwd=root,
        env={**os.environ, "VERIFY_CACHE_DIR": str(root / ".cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for path in (root / ".cache").rglob("*.json"):
        path.write_text("{}")
    assert _end(process) == expected
    assert {path.read_text() for path in (root / ".cache").rglob("*.json")} == {"{}"}
