"""The page of stage 4 says what was measured with its interval and basis, and what noise means for it."""

from __future__ import annotations

import dataclasses

import pytest

from reports.performance_view import performance_view
from reports.table import write
from tests.reports import measurements
from tests.reports.samples import gate


def view(plots=(), gates=(), **changes):
    facts = measurements.facts()
    facts["measurements"] = [one | changes for one in facts["measurements"]]
    return performance_view(facts, gates, "T035", plots)


def test_each_gate_is_a_line_with_its_verdict():
    gates = [gate(f"g{n}", "r", "e", status) for n, status in enumerate(("PASS", "FAIL", "WARN", "DEFERRED"))]
    said = [(name, says) for name, says, _ in view(gates=gates).verdicts]
    assert said == [("g0", "met"), ("g1", "NOT MET"), ("g2", "not decided"), ("g3", "not decided here")]


def test_a_figure_carries_interval_samples_format_and_device():
    rows = write(view().figures).splitlines()
    (speedup,) = [row for row in rows if "char_lm" in row and "speedup, FP32" in row]
    assert [cell.strip() for cell in speedup.split("|")[3:9]] == [
        "1.62x",
        "1.571x to 1.669x",
        "99 %",
        "40",
        "bf16",
        "cpu",
    ]
    assert any("45 %" in row and "exact" in row for row in rows)


def test_noise_says_whether_it_matters():
    assert "calm in 1 of 4 comparisons" in view().noise_note
    assert "hold all the same" in view().noise_note
    calm = [{**one, "warnings": []} for one in measurements.facts()["measurements"][0]["comparisons"]]
    assert view(comparisons=calm).noise_note.startswith("The machine was calm")


def test_steps_to_break_even_are_what_compiling_cost_over_what_a_step_saves():
    assert "1,445" in write(view().compiled)
    slower = {"amp": {"step_s": 0.1}, "amp-compiled": {"step_s": 0.2, "first_step_s": 9.0}}
    assert "never" in write(view(modes=slower).compiled)


def test_saved_runs_show_what_changed_and_on_what_it_rests():
    (saved,) = view().baselines
    shown = write(saved.table)
    assert "7 runs saved on cpu-x86_64" in saved.about
    assert "regression" in shown
    assert "12.0 % to" in shown


def test_without_matplotlib_the_page_says_so():
    assert "matplotlib is missing" in view(plots=None).plots_note
    assert view().plots_note == ""


@pytest.mark.parametrize("facts", [{}, {"measurements": None}, {"measurements": [{}], "baselines": [{}]}])
def test_facts_of_another_shape_are_left_out(facts):
    shown = performance_view(facts, (), "T", None)
    assert not shown.figures
    assert dataclasses.asdict(shown)["verdicts"] == ()


def test_every_method_stands_once():
    methods = [str(line) for line in view().methods]
    assert len(methods) == len({line.rpartition(":")[2] for line in methods})
    assert any("Wilcoxon" in line for line in methods)
