"""A requirement becomes a gate: passed or failed by the whole interval, deferred with its reason, else not decided."""

from __future__ import annotations

import pytest

from stages.performance.judging import judge
from tests.stages.performance.measured import NAME, PLACE, device, figure, measurement, requirement, timed
from verifier.api import Gate, GateStatus, Severity

NATIVE = device("cpu", native=True)
EMULATED = device("cpu", native=False)


def gate(name: str, said: object, *measurements: object, strict: bool = False) -> Gate:
    names = (NAME, "pkg.train:other")
    return judge(requirement(name, said, measured=names), measurements, PLACE, strict=strict).gate  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(1.6, 1.8, GateStatus.PASS), (1.0, 1.2, GateStatus.FAIL), (1.4, 1.6, GateStatus.WARN)],
)
def test_a_speedup_passes_fails_or_is_not_decided(low: float, high: float, status: GateStatus):
    seen = measurement(figures={"speedup": figure((low + high) / 2, low, high)})
    assert gate("speedup", ">=1.5", seen).status is status


def test_what_is_not_decided_fails_under_strict():
    seen = measurement(figures={"speedup": figure(1.5, 1.4, 1.6)})
    judged = judge(requirement("speedup", ">=1.5"), [seen], PLACE, strict=True)
    assert judged.gate.status is GateStatus.FAIL
    assert [(one.rule, one.severity) for one in judged.findings] == [("PRF004", Severity.HIGH)]


def test_a_missed_requirement_is_a_finding_at_its_line_with_the_measurement_as_evidence():
    seen = measurement(figures={"speedup": figure(1.1, 1.0, 1.2)})
    (found,) = judge(requirement("speedup", ">=1.5"), [seen], PLACE, strict=False).findings
    assert (found.rule, found.severity, found.location.line) == ("PRF001", Severity.HIGH, 7)
    data = found.evidence[0].data
    assert (data["value"], data["low"], data["high"], data["samples"]) == (1.1, 1.0, 1.2, 20)
    assert (data["device"], data["dtype"], data["workload"]) == ("cuda:0", "bf16", NAME)


def test_a_device_that_emulates_the_format_decides_no_speed_and_a_demand_for_either_device_blocks():
    seen = measurement(device=EMULATED, figures={"speedup": figure(0.2)})
    found = gate("speedup", ">=1.5", seen)
    assert (found.status, found.lacks) == (GateStatus.DEFERRED, ("cuda", "cpu"))
    assert "only emulates bf16" in found.evidence
    assert "0.2x" in found.evidence


def test_memory_is_the_same_on_every_device():
    seen = measurement(device=EMULATED, figures={"memory-reduction": figure(0.42, unit="share")})
    assert gate("memory-reduction", ">=40%", seen).status is GateStatus.PASS
    assert gate("memory-reduction", ">=50%", seen).status is GateStatus.FAIL


def test_a_requirement_of_another_device_is_deferred_with_the_figure_shown():
    seen = measurement(device=NATIVE, figures={"speedup": figure(1.2)})
    found = gate("speedup", {"cuda": ">=1.5"}, seen)
    assert (found.status, found.lacks) == (GateStatus.DEFERRED, ("cuda",))
    assert "needs cuda" in found.evidence
    assert "1.2x" in found.evidence
    assert gate("speedup", {"cuda": ">=1.5", "cpu": ">=1.1"}, seen).status is GateStatus.PASS
    assert gate("speedup", {"cuda": ">=1.5", "any": ">=1.3"}, seen).status is GateStatus.FAIL


def test_a_cpu_of_which_nothing_is_known_decides_no_speed_but_an_accelerator_does():
    unknown = {"native": None, "precision": None}
    figures = {"speedup": figure(2.0)}
    assert (
        gate("speedup", ">=1.5", measurement(device=device("cpu", **unknown), figures=figures)).status
        is GateStatus.DEFERRED
    )
    assert (
        gate("speedup", ">=1.5", measurement(device=device("cuda:0", **unknown), figures=figures)).status
        is GateStatus.PASS
    )


def test_the_worst_of_the_workloads_decides_and_only_names_those_that_count():
    good = measurement(figures={"speedup": figure(2.0)})
    bad = measurement("pkg.train:other", figures={"speedup": figure(1.0)})
    found = gate("speedup", ">=1.5", good, bad)
    assert found.status is GateStatus.FAIL
    assert found.evidence.startswith("pkg.train:other: 1x")
    assert gate("speedup", {"any": ">=1.5", "only": [NAME]}, good, bad).status is GateStatus.PASS


def test_what_was_not_measured_never_passes():
    assert gate("speedup", ">=1.5", measurement(device=None)).status is GateStatus.FAIL
    assert gate("speedup", ">=1.5").status is GateStatus.FAIL
    absent = measurement(missing={"accuracy-difference": "evaluate() gives no accuracy"})
    found = gate("accuracy-difference", "<0.01", absent)
    assert (found.status, found.evidence) == (GateStatus.FAIL, f"{NAME}: evaluate() gives no accuracy")


def test_what_this_machine_has_no_profile_for_is_deferred():
    seen = measurement(deferred={"roofline-share": "there is no calibration profile"})
    found = gate("roofline-share", ">=30%", seen)
    assert (found.status, found.lacks) == (GateStatus.DEFERRED, ())
    assert "no calibration profile" in found.evidence


def test_steps_that_the_scaler_skipped_do_not_count_as_fast_ones():
    seen = measurement(figures={"speedup": figure(2.0)}, timed=(timed(skipped=0.2),))
    assert gate("speedup", ">=1.5", seen).status is GateStatus.WARN


def test_a_throughput_in_samples_needs_a_workload_that_says_how_many():
    steps, samples = figure(30.0, unit="steps/s"), figure(240.0, unit="samples/s")
    both = measurement(figures={"throughput": steps, "sample-throughput": samples})
    assert gate("throughput", ">=20 steps/s", both).status is GateStatus.PASS
    assert gate("throughput", ">=200 samples/s", both).status is GateStatus.PASS
    assert gate("throughput", ">=200 samples/s", measurement(figures={"throughput": steps})).status is GateStatus.FAIL
