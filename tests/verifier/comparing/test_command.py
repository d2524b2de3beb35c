"""`verify compare`: which finding went which way, and when something blocks that did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reports.json_report import render
from tests.builders import finding, reported, run_report, stage_result
from verifier.api import Gate, GateStatus, Reported, RunReport, StageStatus, Suppressed

if TYPE_CHECKING:
    from tests.verifier.command import Command


def _gate(status: str, name: str = "scope") -> Gate:
    return Gate(name=name, requirement="r", status=GateStatus[status], evidence="seen")


def _found(rule: str = "SCP001", severity: str = "CRITICAL", at: str = "pkg/a.py:1", **fields: Any) -> Reported:
    return reported(finding(rule, at, severity, message=f"{rule} here", **fields))


def _figure(value: float, low: float, high: float, **fields: Any) -> dict[str, Any]:
    return {"speedup": {"value": value, "low": low, "high": high, "unit": "x", "device": "cpu", **fields}}


def _compare(command: Command, old: RunReport, new: RunReport, *options: str) -> tuple[int, dict[str, Any]]:
    command.write("old.json", render(old))
    command.write("new.json", render(new))
    done = command("compare", "old.json", "new.json", "--format", "json", *options)
    assert done.err == ""
    return done.code, json.loads(done.out)


def test_a_report_is_like_itself(command: Command) -> None:
    report = run_report(stage_result(_found(), gates=(_gate("FAIL"),), facts=_figure(1.5, 1.4, 1.6)))
    code, compared = _compare(command, report, report)
    assert (code, compared["blocks"], compared["findings"]["unchanged"], compared["statuses"]) == (0, False, 1, [])
    assert [figure["turn"] for figure in compared["figures"]] == ["same"]


def test_new_and_fixed_findings(command: Command) -> None:
    kept, gone, new = _found(), _found("SCP003", "HIGH"), _found("IMP001")
    code, compared = _compare(command, run_report(stage_result(kept, gone)), run_report(stage_result(kept, new)))
    assert (code, compared["blocks"]) == (1, True)
    assert [one["rule"] for one in compared["findings"]["new"]] == ["IMP001"]
    assert [one["rule"] for one in compared["findings"]["fixed"]] == ["SCP003"]
    back, _ = _compare(command, run_report(stage_result(kept, new)), run_report(stage_result(kept)))
    assert back == 0


def test_a_new_finding_that_does_not_block_is_exit_0(command: Command) -> None:
    code, compared = _compare(command, run_report(stage_result()), run_report(stage_result(_found(severity="LOW"))))
    assert (code, len(compared["findings"]["new"])) == (0, 1)


def test_findings_alike_count_each(command: Command) -> None:
    code, compared = _compare(command, run_report(stage_result(_found(), _found())), run_report(stage_result(_found())))
    assert (code, len(compared["findings"]["fixed"]), compared["findings"]["unchanged"]) == (0, 1, 1)


def test_worse_and_better_findings(command: Command) -> None:
    low, high = _found(severity="LOW"), _found(severity="CRITICAL")
    code, compared = _compare(command, run_report(stage_result(low)), run_report(stage_result(high)))
    assert (code, [one["why"] for one in compared["findings"]["worse"]]) == (1, ["LOW became CRITICAL"])
    code, compared = _compare(command, run_report(stage_result(high)), run_report(stage_result(low)))
    assert (code, [one["was"] for one in compared["findings"]["better"]]) == (0, ["CRITICAL"])


def test_a_finding_that_a_comment_excuses_now_is_not_fixed(command: Command) -> None:
    one = _found()
    excused = Suppressed(stage="syntax", finding=one, reason="why", line=1)
    code, compared = _compare(command, run_report(stage_result(one)), run_report(stage_result(), suppressed=(excused,)))
    assert (code, compared["findings"]["fixed"], len(compared["findings"]["silenced"])) == (0, [], 1)


def test_a_stage_that_broke_off_decides_nothing_and_blocks(command: Command) -> None:
    broken = run_report(stage_result(status=StageStatus.ERRORED, reason="no torch"))
    code, compared = _compare(command, run_report(stage_result(_found(severity="LOW"))), broken)
    assert (code, compared["findings"]["fixed"], len(compared["findings"]["undecided"])) == (1, [], 1)


@pytest.mark.parametrize(
    ("old", "new", "turn", "code"),
    [("PASS", "FAIL", "worse", 1), ("FAIL", "PASS", "better", 0), ("PASS", "DEFERRED", "worse", 0)],
)
def test_gates_that_turn(command: Command, old: str, new: str, turn: str, code: int) -> None:
    done, compared = _compare(
        command,
        run_report(stage_result(gates=(_gate(old),), status=StageStatus.PASSED)),
        run_report(stage_result(gates=(_gate(new),), status=StageStatus.PASSED)),
    )
    assert (done, [(one["name"], one["turn"]) for one in compared["statuses"]]) == (code, [("syntax:scope", turn)])


@pytest.mark.parametrize(
    ("facts", "turn"),
    [
        (_figure(1.6, 1.5, 1.7), "same"),
        (_figure(1.2, 1.1, 1.3), "worse"),
        (_figure(2.0, 1.9, 2.1), "better"),
        (_figure(2.0, 1.9, 2.1, device="cuda"), "changed"),
    ],
)
def test_a_figure_is_better_or_worse_only_beyond_its_noise(command: Command, facts: dict[str, Any], turn: str) -> None:
    old = run_report(stage_result(facts=_figure(1.5, 1.4, 1.6)))
    _, compared = _compare(command, old, run_report(stage_result(facts=facts)))
    assert [figure["turn"] for figure in compared["figures"]] == [turn]


def test_less_time_is_better_and_items_of_lists_are_found_by_name(command: Command) -> None:
    def facts(*rows: tuple[str, float]) -> dict[str, Any]:
        return {"steps": [{"name": name, "step_time": {"value": value, "low": value, "high": value, "unit": "s"}}
                          for name, value in rows]}  # fmt: skip

    old, new = facts(("a", 1.0), ("b", 2.0)), facts(("b", 3.0), ("a", 0.5))
    _, compared = _compare(command, run_report(stage_result(facts=old)), run_report(stage_result(facts=new)))
    turns = {figure["name"]: figure["turn"] for figure in compared["figures"]}
    assert turns == {"syntax/steps/a/step_time": "better", "syntax/steps/b/step_time": "worse"}


def test_other_circumstances_are_named(command: Command) -> None:
    other = {"python": "3.12.1", "torch": "2.13.0", "device": "cpu"}
    _, compared = _compare(command, run_report(stage_result()), run_report(stage_result(), environment=other))
    assert compared["notes"] == ["python: 3.11.9 and 3.12.1"]


def test_reports_of_two_tasks_or_of_no_schema_are_refused(command: Command) -> None:
    command.write("old.json", render(run_report(stage_result())))
    command.write("new.json", render(run_report(stage_result(), task="T036")))
    done = command("compare", "old.json", "new.json")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert 'of the task "T035" and new.json of "T036"' in done.err
    command.write("new.json", '{"schema": "other/1"}')
    assert command("compare", "old.json", "new.json").code == 2
    assert "`verify compare` has no format" in command("compare", "old.json", "old.json", "--format", "mkd").err


HOSTILE = "`|<script>\x1b[31m\n::error::\u202e# x"


@pytest.mark.parametrize("form", ["text", "md"])
def test_people_read_the_same_and_nothing_in_it_acts(command: Command, form: str) -> None:
    bad = _found(at="pkg/<b>.py:3", symbol=HOSTILE)
    named = reported(finding("IMP001", "pkg/a.py:2", "CRITICAL", message=HOSTILE))
    command.write("old.json", render(run_report(stage_result(bad, gates=(_gate("PASS"),)))))
    command.write("new.json", render(run_report(stage_result(named, gates=(_gate("FAIL"),)), title=HOSTILE)))
    done = command("compare", "old.json", "new.json", "--format", form)
    assert done.code == 1
    assert "Something blocks that did not before. Findings: 1 new, 1 fixed, 0 worse, 0 better, 0 unchanged." in done.out
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert not any(line.startswith(("::", "# x")) for line in done.out.splitlines())
