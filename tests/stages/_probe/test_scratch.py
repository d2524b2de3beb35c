"""A scratch folder stays while its maker lives, and the next run removes it with all that still runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stages._probe.processes import marked
from stages._probe.scratch import MARKER, marker, scratch, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
MAKER = """
import time
from stages._probe.scratch import scratch
with scratch() as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def make(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a scratch folder, and return both."""
    environment = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT)}
    maker = subprocess.Popen([sys.executable, "-c", MAKER], env=environment, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    return maker, Path(maker.stdout.readline().strip())


def end(maker: subprocess.Popen[str]) -> None:
    maker.kill()
    maker.communicate()


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    stop = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.02)


def test_a_folder_is_there_for_its_context_only(place: Path) -> None:
    with scratch() as folder:
        assert sorted(path.name for path in folder.rglob("*")) == ["home", "inside", "tmp", "witness"]
        (folder / "inside/home/closed").mkdir(mode=0)
    assert list(place.iterdir()) == []


def test_a_folder_whose_maker_lives_is_nobody_elses_to_remove(place: Path) -> None:
    maker, folder = make(place)
    try:
        sweep(place)
        with scratch() as other:
            assert {folder, other} == set(place.iterdir())
    finally:
        end(maker)


def test_the_folder_of_a_killed_run_is_removed_by_the_next_one_with_what_still_runs_there(place: Path) -> None:
    maker, folder = make(place)
    stray = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={MARKER: folder.name}, start_new_session=True
    )
    end(maker)
    folder.chmod(0)  # the code under test may do that
    until(lambda: marked(marker(folder)) == {stray.pid})
    with scratch() as mine:
        assert list(place.iterdir()) == [mine]
        assert stray.wait(10.0) == -9


def test_a_folder_that_another_run_sweeps_before_it_is_locked_is_made_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    mkdtemp = tempfile.mkdtemp

    def swept_at_first(prefix: str) -> str:
        made.append(Path(mkdtemp(prefix=prefix)))
        if len(made) == 1:
            sweep(place)
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", swept_at_first)
    with scratch() as folder:
        assert (len(made), made[0].exists(), folder.name) == (2, False, made[1].name)


def test_what_only_has_such_a_name_stays(place: Path) -> None:
    (place / "precious").mkdir()
    (place / "verify-probe-link").symlink_to(place / "precious")
    (place / "verify-probe-file").touch()
    (place / "verify-other").mkdir()
    sweep(place)
    assert len(list(place.iterdir())) == 4
