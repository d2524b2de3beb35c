"""Ruff is run where it can be killed: what it does not survive is named, the rest is kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from stages._source.ruff import process
from stages._source.ruff.binary import Ruff, find_ruff
from stages._source.ruff.process import RuffError, read_all
from stages.syntax.lint import check
from stages.syntax.lint.selection import SELECT
from stages.syntax.stage import STAGE
from tests.builders import run_stage
from verifier.api import GateStatus


@pytest.fixture(scope="module")
def ruff(tmp_path_factory: pytest.TempPathFactory) -> Ruff:
    found = find_ruff(tmp_path_factory.mktemp("root"))
    assert found is not None
    return found


def script(folder: Path, text: str) -> Ruff:
    path = folder / "ruff"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Ruff(path, "0")


def test_a_file_that_aborts_ruff_is_named_and_the_others_are_read(tmp_path: Path, ruff: Ruff) -> None:
    names = [f"m{number}.py" for number in range(9)]
    for name in names:
        (tmp_path / name).write_text("import os\n")
    (tmp_path / "m4.py").write_text(f"x = {'+'.join(['1'] * 20_000)}\n")
    read = read_all(ruff, tmp_path, names, target="py311", threads=1, select=SELECT)
    assert {hit.path for hit in read.found} == set(names) - {"m4.py"}
    assert set(read.unread) == {"m4.py"}
    assert "SIGABRT" in read.unread["m4.py"] or "aborted" in read.unread["m4.py"]


def test_a_file_that_ruff_hangs_on_is_named_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CHUNK_S", 0.5)
    monkeypatch.setattr(process, "_SMALL_S", 0.5)
    fake = script(tmp_path, 'case "$*" in *slow*) sleep 60;; esac')
    begin = time.monotonic()
    read = read_all(fake, tmp_path, ["a.py", "slow.py"], target="py311", threads=1, select=SELECT)
    assert set(read.unread) == {"slow.py"}
    assert time.monotonic() - begin < 20


def test_what_the_time_does_not_suffice_for_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_ALL_S", 0.0)
    read = read_all(script(tmp_path, "true"), tmp_path, ["a.py", "b.py"], target="py311", threads=1, select=SELECT)
    assert set(read.unread) == {"a.py", "b.py"}


def test_a_flood_of_output_ends_the_file_that_causes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_OUTPUT_BYTES", 4096)
    fake = script(tmp_path, 'sleep 0.2; case "$*" in *loud*) head -c 100000 /dev/zero;; esac')
    read = read_all(fake, tmp_path, ["loud.py", "quiet.py"], target="py311", threads=1, select=SELECT)
    assert set(read.unread) == {"loud.py"}


def test_options_that_are_refused_are_no_files_fault(tmp_path: Path) -> None:
    with pytest.raises(RuffError, match="no such rule"):
        read_all(
            script(tmp_path, "echo no such rule >&2; exit 2"),
            tmp_path,
            ["a.py"],
            target="py311",
            threads=1,
            select=SELECT,
        )


def test_odd_names_are_files_and_never_options(tmp_path: Path, ruff: Ruff) -> None:
    names = ["--fix.py", "@args.py", "sp ace.py", "new\nline.py", "-"]
    for name in names:
        (tmp_path / name).write_text("import os\n")
    read = read_all(ruff, tmp_path, [*names, "bad\udcff.py"], target="py311", threads=1, select=SELECT)
    assert {hit.path for hit in read.found} == set(names)
    assert read.unread == {"bad\udcff.py": "its name is not UTF-8"}


def test_the_gate_is_deferred_where_a_file_was_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = script(tmp_path, 'case "$*" in *odd*) kill -ABRT $$;; esac')
    monkeypatch.setattr(check, "find_ruff", lambda _root: fake)
    for name in ("a.py", "odd.py"):
        (tmp_path / name).write_text("x = 1\n")
    outcome = run_stage(STAGE, tmp_path, ["a.py", "odd.py"])
    (gate,) = [item for item in outcome.gates if item.name == "lint"]
    assert gate.status is GateStatus.DEFERRED
    assert gate.evidence == "not read: odd.py (ruff died of SIGABRT on it); ruff 0 found 0 errors in 1 file"
    assert outcome.facts["lint"]["unread"] == [{"path": "odd.py", "reason": "ruff died of SIGABRT on it"}]


def test_a_run_that_is_given_up_ends_ruff_at_once(tmp_path: Path) -> None:
    stopped = threading.Event()
    fake = script(tmp_path, 'case "$*" in *slow*) exec sleep 60;; esac')
    threading.Timer(0.3, stopped.set).start()
    begin = time.monotonic()
    read = read_all(fake, tmp_path, ["a.py", "slow.py"], target="py311", threads=1, select=SELECT, stopped=stopped)
    assert set(read.unread) == {"a.py", "slow.py"}
    assert time.monotonic() - begin < 20
