"""`--watch`: runs once, again after a change, and ends on an interrupt with exit code 130."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifier import watch

_PATIENCE_S = 60.0


def interruptible() -> None:
    """Have the next program be interrupted as on a terminal, even where the tests run in the background of a script."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Running:
    """A watch that was started, and what it says line by line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "verifier", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
            preexec_fn=interruptible,  # noqa: PLW1509
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def until(self, part: str) -> str:
        while True:
            line = self.lines.get(timeout=_PATIENCE_S)
            if part in line:
                return line

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)  # as a terminal does, to all of them
        return self.process.wait(_PATIENCE_S)


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    started = Running(folder, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGKILL)
            started.process.wait()
        started.reader.join()
        assert started.process.stdout is not None
        started.process.stdout.close()


def test_it_checks_again_after_a_change_and_ends_on_an_interrupt(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print(nmae)\n")
    (tmp_path / "verifier").mkdir()  # never imported in the place of ours
    (tmp_path / "verifier/__init__.py").write_text("raise SystemExit('imported from the project')\n")
    with running(tmp_path, "check", "a.py", "--watch", "--no-progress") as seen:
        seen.until("check: BLOCK")
        assert seen.until("watching").endswith("Ctrl-C ends it")
        (tmp_path / "a.py").write_text("name = 1\nprint(name)\n")
        assert seen.until("changed") == "verify: changed: a.py"
        seen.until("check: PASS")
        seen.until("watching")
        assert seen.interrupt() == 130
        seen.until("verify: interrupted")


def test_of_a_task_only_what_reads_is_run_and_a_configuration_that_breaks_does_not_end_it(tmp_path: Path) -> None:
    config = '[tool.verifier.tasks.T1]\ntitle = "t"\nfiles = ["a.py"]\n'
    (tmp_path / "pyproject.toml").write_text(config)
    (tmp_path / "a.py").write_text("x = 1\n")
    with running(tmp_path, "T1", "--watch", "--no-progress") as seen:
        assert "not run: integration" in seen.until("verdict PASS")
        seen.until("watching")
        (tmp_path / "pyproject.toml").write_text(config.replace("files", "fils"))
        seen.until("unknown key")
        seen.until("watching")
        (tmp_path / "pyproject.toml").write_text(config)
        seen.until("verdict PASS")


def test_a_snapshot_sees_new_changed_and_removed_files_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    watched = watch.Watch(words=(), paths=(tmp_path,), root=tmp_path)
    first = watch._snapshot(watched)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".verify").mkdir()
    (tmp_path / ".verify/x.py").write_text("")
    assert watch._snapshot(watched) == first
    (tmp_path / "b.py").write_text("")
    assert watch._snapshot(watched) != first
    (tmp_path / "b.py").unlink()
    (tmp_path / "a.py").write_text("x = 22\n")
    assert watch._snapshot(watched).keys() == first.keys()
    assert watch._snapshot(watched) != first


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "check", "nowhere", "--watch") as seen:
        assert seen.until("nowhere") == "verify: nowhere: there is no such file or folder"
        assert seen.process.wait(_PATIENCE_S) == 2


@pytest.mark.parametrize("words", [["check", "a", "--watch"], ["--watch", "check", "a"]])
def test_the_word_itself_is_not_passed_on(words: list[str]) -> None:
    assert watch.without_watch(words) == ("check", "a")
