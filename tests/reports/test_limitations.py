from __future__ import annotations

from dataclasses import replace

from reports.limitations import limitations
from tests.builders import run_report, stage_result
from verifier.api import NotRun, StageStatus


def said(report, *, task=True):
    return " ".join(limitations(report, report.stages, task=task))


def integration(**facts):
    return stage_result(number=3, name="integration", facts=facts)


def test_a_static_run_admits_that_nothing_ran():
    assert "No code was run" in said(run_report(stage_result()))
    assert "No code was run" not in said(run_report(integration()))


def test_a_stage_that_broke_off_ran_no_code_to_the_end():
    assert "No code was run" in said(run_report(replace(integration(), status=StageStatus.ERRORED)))


def test_a_cpu_says_nothing_about_cuda():
    assert "on CUDA" in said(run_report(integration()))
    environment = {"python": "3", "torch": "2", "device": "CUDA: H200"}
    assert "on CUDA" not in said(run_report(integration(), environment=environment))


def test_stages_left_out_are_named_on_the_task_page_only():
    report = run_report(stage_result(), not_run=(NotRun(number=2, name="logic", reason="left out"),))
    assert "`logic` was not run: left out." in said(report)
    assert "logic" not in said(report, task=False)


def test_uncommitted_changes_are_admitted():
    report = run_report(stage_result())
    dirty = replace(report, source=replace(report.source, dirty=True))
    assert "uncommitted" in said(dirty)
    assert "uncommitted" not in said(report)


def test_a_stage_may_state_limits_of_its_own():
    facts = {"limitations": ["notebooks are not read", "pkg.mod:f is too long."]}
    assert said(run_report(stage_result(facts=facts)), task=False) == "Notebooks are not read. pkg.mod:f is too long."
