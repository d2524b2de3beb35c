from dataclasses import replace

import pytest

from amp_runtime.benchmark.figures import counted, sampled
from amp_runtime.benchmark.intervals import Estimate
from amp_runtime.benchmark.requirements import Requirements, judge

WHERE = {"device": "a device", "dtype": "bf16", "method": "by hand"}
EXACT = counted(0.5, unit="share", **WHERE)


def figure(low, high, confidence=0.95):
    estimate = Estimate(value=(low + high) / 2, low=low, high=high, confidence=confidence, samples=6)
    return sampled(estimate, unit="x", **WHERE)


def verdicts(requirements=None, **given):
    settings = {
        "speedup": figure(2, 3),
        "memory_reduction": EXACT,
        "accuracy_difference": figure(-0.001, 0.001),
        "not_native": None,
        "skipped": 0.0,
        "no_accuracy": "nothing was validated",
    }
    judged = judge(requirements or Requirements(), **(settings | given))
    return {one.name: one for one in judged}


def status(name, **given):
    return verdicts(**given)[name].status.value


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.5, 2.0, "met"), (1.4, 2.0, "inconclusive"), (1.0, 1.49, "missed"), (1.0, 1.5, "inconclusive")],
)
def test_a_speedup_is_judged_by_its_whole_interval(low, high, expected):
    assert status("speedup", speedup=figure(low, high)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.005, 0.009, "met"),
        (-0.02, 0.001, "inconclusive"),
        (-0.03, -0.01, "missed"),
        (0.01, 0.03, "missed"),
        (0.0, 0.01, "inconclusive"),
    ],
)
def test_accuracy_may_differ_in_neither_direction(low, high, expected):
    assert status("accuracy_difference", accuracy_difference=figure(low, high)) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.4, "met"), (0.39, "missed"), (-0.1, "missed")])
def test_memory_is_exact_and_so_is_its_verdict(share, expected):
    assert status("memory_reduction", memory_reduction=replace(EXACT, value=share)) == expected


def test_an_interval_of_little_confidence_decides_nothing():
    assert status("speedup", speedup=figure(5, 6, confidence=0.875)) == "inconclusive"
    assert status("speedup", speedup=figure(0.5, 0.6, confidence=0.875)) == "inconclusive"


def test_speed_is_deferred_where_the_format_is_emulated_and_the_figure_is_shown():
    found = verdicts(not_native="this CPU only emulates bf16")["speedup"]
    assert found.status.value == "deferred"
    assert "only emulates bf16" in found.evidence
    assert "2.5 x" in found.evidence


def test_skipped_steps_prove_no_speed():
    found = verdicts(skipped=0.2)["speedup"]
    assert found.status.value == "inconclusive"
    assert "20%" in found.evidence


def test_without_an_accuracy_its_requirement_is_deferred_with_the_reason():
    found = verdicts(accuracy_difference=None)["accuracy_difference"]
    assert (found.status.value, found.evidence) == ("deferred", "nothing was validated")


def test_what_is_not_asked_for_is_not_judged():
    assert list(verdicts(Requirements(speedup=None, accuracy_difference=None))) == ["memory_reduction"]


@pytest.mark.parametrize(
    "wrong", [{"speedup": 0}, {"memory_reduction": 40}, {"accuracy_difference": 0.0}, {"speedup": float("inf")}]
)
def test_a_requirement_in_the_wrong_unit_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Requirements(**wrong)
