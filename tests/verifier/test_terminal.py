from __future__ import annotations

import io
import sys
from pathlib import Path

from hypothesis import example, given, settings

from tests.builders import finding, reported, run_report, stage_result
from tests.reports import runner
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import hostile
from verifier.model.stage import Gate, GateStatus, StageStatus
from verifier.terminal import Terminal, internal_failures, make_terminal, summary, watching

PLAIN = Terminal(colour=False, progress=False, quiet=False)
COLOURED = Terminal(colour=True, progress=False, quiet=False)
OWN_COLOURS = ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[22m", "\x1b[0m")


@settings(max_examples=60)
@given(hostile())
@example("\x1b]0;title\x07\x1b[2J")
@example("::stop-commands::x\n::error::y")
@example("##[set-env name=a]b")
@example("x" * 200_000)
def test_no_text_reaches_the_terminal_as_anything_but_text(text):
    plain, attacked = (summary(hostile_report(said), PLAIN, ()) for said in ("x", text))
    assert attacked.count("\n") == plain.count("\n")
    assert all(line.isprintable() for line in attacked.split("\n"))
    assert runner.commands(attacked) == []
    assert attacked.startswith("BLOCK  ")
    assert len(attacked) < 40_000


@settings(max_examples=30)
@given(hostile())
def test_the_only_colours_are_our_own(text):
    shown = summary(hostile_report(text), COLOURED, ())
    for own in OWN_COLOURS:
        shown = shown.replace(own, "")
    assert all(line.isprintable() for line in shown.split("\n"))


def test_a_reason_of_blanks_crashes_nothing():
    stage = stage_result(status=StageStatus.ERRORED, reason="\n \n", internal=True)
    assert "syntax" in summary(run_report(stage), PLAIN, (Path("/x/report.json"),))
    assert internal_failures(run_report(stage)) == [
        "stage syntax could not finish: no reason given; this says nothing about the code",
    ]


def test_what_blocks_stands_in_the_summary():
    gate = Gate(name="tests", requirement="tests pass", status=GateStatus.FAIL, evidence="none collected")
    stage = stage_result(reported(finding("SCP001", "a.py:3:4", message="boom")), gates=(gate,))
    lines = summary(run_report(stage), PLAIN, ()).splitlines()
    assert "  a.py:3:4: SCP001 CRITICAL boom" in lines
    assert "  gate syntax:tests FAIL: none collected" in lines


def test_progress_is_escaped(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    with watching(make_terminal("never", progress=True, quiet=False, verbose=True), "T\x1b[31m") as observer:
        observer.progress("tests/a.py::test[\x1b[2J]\n::error::x")
    assert told.getvalue() == "verify: T\\x1b[31m: tests/a.py::test[\\x1b[2J] ::error::x\n"
