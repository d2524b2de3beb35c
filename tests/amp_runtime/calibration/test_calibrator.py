import dataclasses
import json
import sys

import pytest
import torch

from amp_runtime.calibration import HardwareCalibration
from amp_runtime.calibration.calibrator import calibrate, profile_of
from amp_runtime.calibration.drift import Drift
from amp_runtime.calibration.measuring import Plan, measure_all
from amp_runtime.calibration.operations.conv2d import Convolution
from amp_runtime.calibration.operations.conv2d import case as convolution
from amp_runtime.calibration.operations.elementwise import case as elementwise
from amp_runtime.calibration.operations.matmul import case as matmul
from amp_runtime.calibration.operations.memory import case as memory
from amp_runtime.calibration.preset import Peaks
from amp_runtime.calibration.surroundings import OtherLoad

CASES = (
    memory("copy", 1000),
    memory("triad", 1000),
    matmul(32, 32, 32),
    matmul(64, 64, 64),
    convolution(Convolution(images=1, channels=3, filters=4, side=8, kernel=3)),
    elementwise("add", 1000),
)
PLAN = Plan(operations=("matmul",), cases=CASES, budget_s=1.0)


@pytest.fixture(scope="module")
def findings():
    return measure_all("cpu", PLAN)


def profile(findings, peaks=None):
    return profile_of(findings, PLAN, peaks or Peaks(), "some CPU")


def test_a_real_run_fills_the_profile(findings):
    found = profile(findings)
    assert HardwareCalibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert list(found.operation_profiles) == [
        "memory_copy_1000",
        "memory_triad_1000",
        "matmul_32x32x32",
        "matmul_64x64x64",
        "conv2d_1x3x8x8_to_4_3x3",
        "add_1000",
    ]
    assert found.measured_bandwidth_gbps > 0
    matrix = found.precision_matrix
    assert {"fp64", "fp32", "bf16", "fp16", "int8"} <= set(matrix.supported_precisions)
    assert set(matrix.supported_precisions) | set(matrix.unsupported_precisions) == set(findings.detections)
    assert set(matrix.reasons) == set(matrix.unsupported_precisions)
    assert matrix.speedup_vs_fp32["fp32"] == pytest.approx(1)
    assert found.metadata.fp32_matmul_precision == "highest"
    assert found.metadata.num_threads == torch.get_num_threads()


def test_the_peak_of_a_format_is_the_best_of_its_products(findings):
    found = profile(findings)
    best = max(
        result.measured_gflops
        for name, one in found.operation_profiles.items()
        if name.startswith(("matmul", "conv2d"))
        for result in [one.precision_results["fp32"]]
    )
    assert found.precision_matrix.peak_gflops_by_precision["fp32"] == best


def test_a_copy_has_no_flops_and_formats_are_only_those_it_is_defined_for(findings):
    copied = profile(findings).operation_profiles["memory_copy_1000"]
    assert copied.measured_gflops is None
    assert copied.achieved_bandwidth_gbps > 0
    assert set(copied.precision_results) == {"fp64", "fp32"}


def test_efficiency_is_against_the_preset_and_never_above_one(findings):
    rate = profile(findings).operation_profiles["matmul_64x64x64"].precision_results["fp32"].measured_gflops
    found = profile(findings, Peaks(preset="p", theoretical_peaks={"fp32": 4 * rate}))
    results = found.operation_profiles["matmul_64x64x64"].precision_results
    assert results["fp32"].efficiency == pytest.approx(0.25)
    assert results["bf16"].efficiency is None
    assert found.operation_profiles["add_1000"].efficiency is None


def test_a_figure_above_its_peak_is_flagged_and_no_efficiency(findings):
    found = profile(findings, Peaks(preset="p", theoretical_peaks={"fp32": 1e-6}))
    result = found.operation_profiles["matmul_64x64x64"].precision_results["fp32"]
    assert result.efficiency is None
    assert "above the stated peak" in result.efficiency_flag
    assert any("fp32 in matmul is above the stated peak" in said for said in found.metadata.warnings)


def test_bandwidth_above_its_peak_is_flagged_too(findings):
    found = profile(findings, Peaks(preset="p", bandwidth_gbps=1e-6))
    assert found.bandwidth_efficiency is None
    assert "above the stated peak" in found.bandwidth_efficiency_flag


def test_drift_and_other_load_are_said(findings):
    disturbed = dataclasses.replace(
        findings, drift=Drift(seconds=(1.0, 1.5)), load=OtherLoad(processors=1.5, of=2, source="test", stolen=0.1)
    )
    found = profile(disturbed).metadata
    assert found.stability.stable is False
    assert found.stability.change_percent == pytest.approx(50)
    assert (found.stability.busy_percent, found.stability.steal_percent) == (75, 5)
    assert len(found.warnings) == 3
    steady = dataclasses.replace(
        findings, drift=Drift(seconds=(1.0, 1.01)), load=OtherLoad(processors=None, of=2, source="unknown")
    )
    assert profile(steady).metadata.stability.stable is True


def test_without_psutil_everything_is_measured_all_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    plan = Plan(operations=("matmul",), precisions=("fp32",), cases=(matmul(32, 32, 32),), budget_s=0.2)
    found = profile_of(measure_all("cpu", plan), plan, Peaks(), "some CPU")
    assert found.best_measured_gflops > 0


def test_fp32_is_measured_even_where_only_another_format_was_asked_for():
    plan = Plan(operations=("matmul",), precisions=("fp64",), cases=(matmul(32, 32, 32),), budget_s=0.2)
    assert list(measure_all("cpu", plan).detections) == ["fp64", "fp32"]


def test_progress_rises_to_all_and_names_what_comes():
    said = []
    plan = Plan(operations=("matmul",), precisions=("fp32",), cases=CASES[2:4], budget_s=0.2)
    measure_all("cpu", plan, lambda what, share: said.append((what, share)))
    assert [what for what, _ in said] == ["formats", "matmul 32x32x32", "matmul 64x64x64", "done"]
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"operations": ["matmull"]}, "operation 'matmull' is not known; use some of memory, matmul"),
        ({"precisions": ["fp7"]}, "precision 'fp7' is not known"),
        ({"operations": []}, "at least one operation is needed"),
        ({"device": "cuda:99"}, "cuda:99 was asked for"),
    ],
)
def test_what_cannot_be_measured_is_named(options, said):
    with pytest.raises(ValueError, match=said):
        calibrate(**options)
