from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports import markdown, plots
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.hostile_report import hostile_report
from tests.reports.parsed import headings, hostile, shape, text_of
from verifier.api import Deferred, Evidence, Gate, GateStatus, StageStatus

GOLDEN = Path(__file__).parent / "golden"
BLOCKED, PASSED = samples.blocked(), samples.passed()


def documents(report):
    pages = {name: text for name, text in markdown.extras(report).items() if name.endswith(".md")}
    return {"report.md": markdown.render(report), **pages}


def unplotted(report):
    with mock.patch.object(plots, "available", return_value=False):  # drawing takes longer than all the rest
        return documents(report)


@pytest.mark.parametrize("kind", ["blocked", "passed", "measured"])
def test_the_documents_are_the_accepted_ones(kind):
    for name, text in documents(getattr(samples, kind)()).items():
        golden.check(GOLDEN / kind / name, text)


@settings(max_examples=40, deadline=None)
@given(hostile())
@example("    <!--")
@example("- </details>")
def test_no_text_from_outside_changes_a_document(text):
    plain, attacked = unplotted(hostile_report("x")), unplotted(hostile_report(text))
    assert list(plain) == list(attacked)
    for name, document in attacked.items():
        assert shape(document) == shape(plain[name])
        assert headings(document)[0][1].startswith(headings(plain[name])[0][1].split(":")[0])


@settings(max_examples=40, deadline=None)
@given(hostile())
@example("\ud800\x1b[31m\u202e")
def test_every_document_can_be_printed_and_written(text):
    for document in unplotted(hostile_report(text)).values():
        document.encode("utf-8")
        assert all(line.isprintable() for line in document.split("\n"))


def test_the_task_page_keeps_the_order_of_the_contract():
    titles = [text for level, text in headings(documents(BLOCKED)["report.md"]) if level < 3]
    assert titles == [
        "BLOCK 42/100: T035, Mixed precision training (AMP)",
        *("What blocks", "Gates", "Acceptance criteria", "Files", "Findings that do not block", "Remediation plan"),
        *("What this run could not see", "About this run"),
    ]


def test_the_stage_page_of_syntax_has_its_sections():
    titles = [text for level, text in headings(documents(BLOCKED)["syntax.md"]) if level == 2]
    assert titles == [
        *("What blocks", "Gates", "Files", "Findings that do not block", "Compilation", "Imports", "Dependencies"),
        *("Import cycles", "Lint and conventions", "AMP integration points", "Test inventory", "Exported signatures"),
        *("Configuration files", "Remediation plan", "About this run"),
    ]


def test_a_stage_that_did_not_run_has_no_page():
    assert set(documents(BLOCKED)) == {"report.md", "syntax.md"}


def test_the_task_page_links_to_every_stage_page():
    found = documents(PASSED)
    assert set(shape(found["report.md"]).links) == set(found) - {"report.md"}


def test_a_clean_pass_is_short():
    report = run_report(stage_result(gates=(Gate(name="g", requirement="r", status=GateStatus.PASS, evidence="e"),)))
    assert len(markdown.render(report).splitlines()) < 40


def test_blocking_findings_show_the_code_and_point_at_it():
    page = markdown.render(BLOCKED)
    assert "> 131 |         with autocast():\n      |              ^\n" in page


def test_a_long_message_is_cut_in_the_heading_and_stands_in_full_below():
    message = "because " * 40
    page = markdown.render(run_report(stage_result(reported(finding(message=message.strip())))))
    (title,) = [text for level, text in headings(page) if level == 3]
    assert title.endswith("because …")
    assert len(title) < 220
    assert f"\n\n{message.strip()}\n\n" in page


def test_evidence_that_only_quotes_the_shown_line_is_left_out():
    seen = (Evidence(kind="source", summary="line 3 reads x: y = x"), Evidence(kind="source", summary="no x above"))
    stage = stage_result(reported(finding(at="a.py:3", evidence=seen)))
    page = markdown.render(run_report(stage, snippets={("a.py", 3): "    y = x"}))
    assert "line 3 reads" not in page
    assert "**Evidence.** Source: no x above" in page


def test_evidence_with_lines_is_shown_as_a_block_and_its_figures_inline():
    evidence = Evidence(kind="command", summary="it ended", data={"exit": 3, "loss": float("nan"), "output": "a\nb"})
    page = markdown.render(run_report(stage_result(reported(finding(evidence=(evidence,))))))
    assert "**Evidence.** Command: it ended (exit: 3; loss: NaN)" in page
    assert "```text\na\nb\n```" in page


def test_a_failed_gate_without_a_finding_stands_under_what_blocks():
    gate = Gate(name="agreement", requirement="AMP trains like FP32", status=GateStatus.FAIL, evidence="0.4 > 0.05")
    page = markdown.render(run_report(stage_result(gates=(gate,), status=StageStatus.FAILED, name="integration")))
    before, after = page.split("\n## Gates\n")
    assert "`integration:agreement`" in before.split("## What blocks")[1]
    assert "1. `integration:agreement` AMP trains like FP32: 0.4 > 0.05" in after


@pytest.mark.parametrize("status", [StageStatus.ERRORED, StageStatus.SKIPPED])
def test_a_stage_without_outcome_blocks_with_its_reason(status):
    page = markdown.render(run_report(stage_result(status=status, reason="the child was killed")))
    assert headings(page)[0][1].startswith("BLOCK")
    assert "the child was killed" in page.split("## What blocks")[1]


def test_a_file_has_not_passed_while_a_stage_is_undecided():
    crashed = stage_result(status=StageStatus.ERRORED, reason="killed")
    assert "UNDECIDED" in markdown.render(run_report(crashed))
    assert "UNDECIDED" not in markdown.render(run_report(stage_result()))


def test_deferred_gates_are_counted_and_explained():
    gate = Gate(name="cuda", requirement="trains on CUDA", status=GateStatus.DEFERRED, evidence="needs a GPU")
    deferred = (Deferred(stage="syntax", gate="cuda", reason="needs a GPU"),)
    page = markdown.render(run_report(stage_result(gates=(gate,)), deferred=deferred))
    assert "0 of 1 gate passed, 1 deferred." in page
    assert "- `syntax:cuda`: needs a GPU" in page


def test_pages_of_foreign_stages_have_safe_and_distinct_names():
    names = ["report", "a/../b", "a..b", "ok"]
    stages = [stage_result(number=index, name=name) for index, name in enumerate(names, start=1)]
    report = run_report(*stages)
    assert list(markdown.extras(report)) == ["stage-1-report.md", "a-b.md", "stage-3-a-b.md", "ok.md"]


def test_a_large_check_stays_readable():
    many = [
        reported(finding("SCP001", f"pkg/sub{index % 90}/module_{index}.py:{index + 1}", message="name " * 60))
        for index in range(300)
    ]
    files = {f"pkg/sub{index % 90}/module_{index}.py": 400 for index in range(2860)}
    report = run_report(stage_result(*many), files=files)
    for document in documents(report).values():
        assert len(document.encode()) < 200_000
        assert "And 230 more, in `report.json`." in document


@pytest.mark.parametrize(("size", "drawn"), [(40, True), (41, False)])
def test_only_small_graphs_are_drawn(size, drawn):
    modules = [f"pkg.m{index}" for index in range(size)]
    edges = [{"from": modules[0], "to": name, "line": 1, "kind": "eager"} for name in modules[1:]]
    cycle = {"modules": modules, "kind": "fails", "fails_from": modules, "risk": "one cannot load", "text": "a\nb"}
    for facts in ({"import_graph": {"modules": modules, "edges": edges}}, {"cycles": [cycle | {"imports": edges}]}):
        page = markdown.extras(run_report(stage_result(facts=facts)))["syntax.md"]
        assert ("```mermaid" in page) == drawn
        assert max(map(len, page.splitlines())) < 400


def test_without_matplotlib_the_page_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    found = markdown.extras(PASSED)
    assert not [name for name in found if name.endswith(".svg")]
    assert "(extra `plots` of verify-amp)" in found["integration.md"]


def test_with_matplotlib_the_page_links_the_plot():
    found = markdown.extras(PASSED)
    (plot,) = [name for name in found if name.endswith(".svg")]
    assert plot in shape(found["integration.md"]).links


def test_facts_of_another_shape_are_left_out():
    facts = {"imports": "none", "cycles": [1, {"modules": None}], "tests": {"collected": "x"}, "workloads": [{}]}
    for name in ("syntax", "integration"):
        stage = stage_result(name=name, facts=facts)
        assert text_of(markdown.extras(run_report(stage))[f"{name}.md"])


def test_nothing_is_said_twice_about_a_tree_outside_git():
    source = replace(PASSED.source, commit=None, dirty=None)
    page = markdown.render(replace(PASSED, source=source))
    assert page.count("not under git") == 2  # as a limitation, and where the run is described


@given(st.sampled_from([BLOCKED, PASSED]))
@settings(max_examples=2, deadline=None)
def test_rendering_twice_gives_the_same_bytes(report):
    assert documents(report) == documents(report)


def test_the_same_advice_is_one_step_of_the_plan():
    items = [reported(finding(at=f"a.py:{line}", remediation="Import it.")) for line in (1, 2, 3)]
    page = markdown.render(run_report(stage_result(*items)))
    assert page.split("## Remediation plan")[1].count("Import it.") == 1
    assert "1. SCP001 CRITICAL `a.py:1` and 2 more places: Import it." in page


def test_among_many_files_only_the_troubled_are_listed():
    noted = reported(finding("IMP005", "m3.py:1", "INFO"), blocking=False)
    broken = reported(finding("SCP001", "m4.py:1"))
    files = {f"m{index}.py": 1 for index in range(300)}
    page = markdown.render(run_report(stage_result(noted, broken), files=files))
    section = page.split("## Files")[1].split("## ")[0]
    assert section.count("`m") == 1
    assert "299 further files without a finding above INFO." in section


def test_the_others_of_a_middling_tree_are_folded_below():
    files = {f"m{index}.py": 1 for index in range(30)}
    page = markdown.render(run_report(stage_result(reported(finding(at="m4.py:1"))), files=files))
    first, folded = page.split("## Files")[1].split("## ")[0].split("<details>")
    assert (first.count("`m"), folded.count("`m")) == (1, 29)
    assert "<summary>Files without a finding above INFO (29)</summary>" in folded
