from __future__ import annotations

from reports.integration_view import integration_view
from reports.table import write

RUNS = {"fp32": {"precision": "float32", "losses": [2.0, 1.0]}, "amp": {"precision": None, "losses": ["nan"]}}


def view(**facts):
    return integration_view(facts, {})


def test_a_workload_is_two_rows_and_one_sentence():
    agreement = {"measure": "difference", "value": 0.25, "tolerance": 0.5, "samples": 15}
    seen = view(workloads=[{"name": "pkg:w", "device": "cpu", "agreement": agreement, **RUNS}])
    assert [row[4:7] for row in seen.workloads.rows] == [(2, "2", "1"), (1, "NaN", "NaN")]
    assert seen.agreements == ("`pkg:w`, FP32 against AMP: difference 0.25, tolerance 0.5, 15 samples each.",)


def test_what_was_heard_of_amp_is_a_row_for_each_run():
    seen = {"steps": 4, "under_autocast": {"float16": 4}, "scaled": 4, "scales": [256.0, 256.0, 512.0], "logged": [1.0]}
    silent = {"steps": 4, "under_autocast": {}, "scaled": 0, "scales": [], "logged": None}
    workload = {"name": "pkg:w", "fp32": {"observed": silent}, "amp": {"observed": seen}}
    rows = [row[1:] for row in view(workloads=[workload]).observed.rows]
    assert rows == [("FP32", 4, "none", 0, "none", "no log"), ("AMP", 4, "float16 4", 4, "256 to 512", 1)]
    assert not view(workloads=[{"name": "pkg:w", **RUNS}]).observed


def test_paired_times_are_shown_with_their_interval():
    timed = {"name": "w", "precision": "bf16", "device": "cpu", "ratio": 1.5, "low": 1.4, "high": 1.75}
    text = write(view(step_times=[{**timed, "confidence": 0.96, "samples": 8}]).step_times)
    assert "1.4 to 1.75 (96 %)" in text
    assert "no confidence stated" in write(view(step_times=[timed]).step_times)


def test_runs_that_were_not_compared_are_said_to_be_so():
    for agreement in ({}, {"value": None, "tolerance": None, "samples": 0}):
        assert view(workloads=[{"name": "w", "agreement": agreement}]).agreements == (
            "`w`: the two runs were not compared.",
        )


def test_modules_that_failed_are_named():
    modules = [
        {"module": "a", "status": "ok", "duration_s": 0.1, "error": None},
        {"module": "b", "status": "import-raises", "duration_s": 2.0, "error": "ValueError: no"},
    ]
    seen = view(imports=modules)
    assert seen.imports == "1 of 2 modules imported; the slowest, `b`, took 2.00 s."
    assert "ValueError: no" in write(seen.broken_imports)


def test_tests_are_counted_and_failures_shown():
    tests = {"collected": 3, "passed": 1, "failed": 2, "failures": [{"id": "t::a", "message": "assert 1 == 2"}]}
    seen = view(tests=tests)
    assert seen.tests == "3 tests collected: 1 passed, 2 failed."
    assert seen.failures[0] == ("t::a", "```text\nassert 1 == 2\n```")


def test_nothing_known_makes_no_section():
    seen = view()
    assert not any(getattr(seen, name) for name in seen.__slots__)
