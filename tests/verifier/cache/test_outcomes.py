"""When a stage need not run, and when it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from verifier.cache import seen
from verifier.cache.cache import Cache
from verifier.cache.outcomes import run_stage
from verifier.cache.records import Records
from verifier.cache.store import Store
from verifier.errors import MachineError
from verifier.model.finding import Finding, Json, Location, Severity
from verifier.model.stage import RunOptions, Stage, StageContext, StageOutcome, Stash
from verifier.model.task import Config, Task
from verifier.selection import check_sources
from verifier.sources import KnownFile, read_regular


class Counting:
    """A stage that counts how often it runs, and reads a file beside those of the task."""

    def __init__(self) -> None:
        self.runs = 0
        self.spoiled = False
        self.given: Json = 1

    def stage(self) -> Stage:
        return Stage(
            number=1,
            name="counting",
            title="",
            summary="",
            runs_code=False,
            run=self._run,
            depends_on=lambda _context: self.given,
        )

    def _run(self, context: StageContext) -> StageOutcome:
        self.runs += 1
        if seen.is_file(context.root / "beside.txt"):
            read_regular(context.root / "beside.txt")
        if self.spoiled:
            seen.may_differ_next_time("a worker was ended")
        place = Location(path="a.py", line=2)
        finding = Finding(rule="TST001", severity=Severity.HIGH, message=f"run {self.runs}", location=place)
        return StageOutcome(checks_run=1, findings=(finding,))


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.py").write_text("x = 1\n")
    return tmp_path / "p"


def _context(root: Path, *, identity: str = "v1", options: RunOptions | None = None, jobs: int = 1) -> StageContext:
    store = Store(root.parent / "cache" / "p-0123456789abcdef")
    cache = Cache(store, Records(store), identity)
    return StageContext(
        root=root,
        task=Task(name="t", title="", files=()),
        config=Config(root=root),
        sources=check_sources(root, [root], (), cache),
        options=options or RunOptions(jobs=jobs),
        stash=Stash(),
        progress=lambda _line: None,
    )


def test_a_stage_runs_once_for_the_same_tree(root: Path, counting: Counting) -> None:
    first = run_stage(counting.stage(), _context(root))
    assert run_stage(counting.stage(), _context(root, jobs=7)) == first
    assert counting.runs == 1


def test_another_verifier_runs_it_anew(root: Path, counting: Counting) -> None:
    run_stage(counting.stage(), _context(root))
    run_stage(counting.stage(), _context(root, identity="v2"))
    assert counting.runs == 2


def test_so_do_other_options_that_decide_and_another_answer_of_the_stage(root: Path, counting: Counting) -> None:
    run_stage(counting.stage(), _context(root))
    run_stage(counting.stage(), _context(root, options=RunOptions(all_facts=True)))
    counting.given = 2
    run_stage(counting.stage(), _context(root))
    assert counting.runs == 3


def test_so_does_a_change_of_what_it_has_read_or_asked_for(root: Path, counting: Counting) -> None:
    run_stage(counting.stage(), _context(root))
    (root / "beside.txt").write_text("a")
    run_stage(counting.stage(), _context(root))
    run_stage(counting.stage(), _context(root))
    assert counting.runs == 2
    (root / "beside.txt").write_text("b")
    run_stage(counting.stage(), _context(root))
    assert counting.runs == 3


def test_what_depends_on_the_moment_is_not_kept(root: Path, counting: Counting) -> None:
    counting.spoiled = True
    run_stage(counting.stage(), _context(root))
    run_stage(counting.stage(), _context(root))
    assert counting.runs == 2


def test_a_stage_that_does_not_say_what_it_depends_on_always_runs(root: Path, counting: Counting) -> None:
    for _ in range(2):
        run_stage(replace(counting.stage(), depends_on=None), _context(root))
    assert counting.runs == 2


def test_a_stage_that_breaks_off_is_not_kept_and_leaves_nobody_noting(root: Path, counting: Counting) -> None:
    def broken(_context: StageContext) -> StageOutcome:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_stage(replace(counting.stage(), run=broken), _context(root))
    assert seen.taken_notes() is None
    run_stage(counting.stage(), _context(root))
    assert counting.runs == 1


def test_trees_with_notebooks_are_not_kept(root: Path, counting: Counting) -> None:
    (root / "n.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    for _ in range(2):
        run_stage(counting.stage(), _context(root))
    assert counting.runs == 2


def test_a_known_file_is_read_when_it_is_asked_for_and_must_be_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.cache.stamps._TICK_NS", 0)
    context = _context(root)
    assert context.sources.cache is not None
    context.sources.cache.save(context.sources)
    known = _context(root).sources.files[0]
    assert isinstance(known, KnownFile)
    assert (known.sha256, known.line_count, known.is_marked) == (context.sources.files[0].sha256, 1, False)
    assert known.data == b"x = 1\n"
    again = _context(root).sources.files[0]
    (root / "a.py").write_text("x = 2\n")
    with pytest.raises(MachineError, match=r"a\.py changed while it was verified"):
        _ = again.data
    (root / "a.py").unlink()
    with pytest.raises(MachineError, match=r"a\.py changed while it was verified: No such file"):
        _ = again.data


def test_a_young_file_is_not_known(root: Path) -> None:
    context = _context(root)
    assert context.sources.cache is not None
    context.sources.cache.save(context.sources)
    assert not isinstance(_context(root).sources.files[0], KnownFile)
