from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amp_runtime.calibration import (
    HardwareCalibration,
    PrecisionTestResult,
    ProfileError,
    efficiency_of,
    load_profile,
    save_profile,
)
from tests.amp_runtime.calibration.records import profile, records

OLD = Path(__file__).parent / "profiles" / "before_precisions.json"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records(HardwareCalibration))
def test_a_profile_comes_back_as_it_was_with_fields_it_does_not_know(one: HardwareCalibration) -> None:
    assert HardwareCalibration.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["metadata", "operation_profiles", "schema", "efficiency", "a"]), inner)
        ),
        max_leaves=8,
    )
)
def test_what_is_no_profile_is_refused_and_nothing_else_happens(data: object) -> None:
    with pytest.raises(ProfileError):
        HardwareCalibration.from_dict(data)


def test_unknown_fields_survive_at_every_level_through_a_file(tmp_path: Path) -> None:
    data = profile().to_dict()
    places = [
        data,
        data["metadata"],
        data["metadata"]["stability"],
        data["precision_matrix"],
        data["operation_profiles"]["matmul_1024"],
        data["operation_profiles"]["matmul_1024"]["precision_results"]["fp32"],
        data["operation_profiles"]["matmul_1024"]["precision_results"]["fp32"]["gflops_interval"],
        data["fusion_profiles"]["linear_gelu_fp32"],
    ]
    for number, place in enumerate(places):
        place["of a later version"] = {"number": number, "list": [1, None, "x"]}
        place["unknown"] = "a field of that name is unknown too"
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(data), "utf-8")
    save_profile(load_profile(path), path)
    assert json.loads(path.read_text("utf-8")) == data


def test_the_older_format_loads_and_its_impossible_efficiency_is_flagged(tmp_path: Path) -> None:
    old = load_profile(OLD)
    assert (old.metadata.device_type, old.metadata.platform_architecture) == ("cpu", "unknown")
    assert old.precision_matrix is None
    assert (old.best_efficiency, old.avg_efficiency, old.theoretical_peak_gflops) == (None, 0.9686, 720.0)
    matmul = old.operation_profiles["matmul_matrix_size=4096_large"]
    assert matmul.precision_results == {}
    assert matmul.input_shape == (4096, 4096)
    assert (matmul.measured_gflops, matmul.efficiency) == (825.0, None)
    assert "1.15 times" in str(matmul.efficiency_flag)
    copy = old.operation_profiles["add_operation=memory_copy_size_mb=256"]
    assert (copy.measured_gflops, copy.efficiency) == (None, 0.717)
    assert old.fusion_profiles["Linear_Bias_ReLU"].gflops_improvement == -0.045
    save_profile(old, tmp_path / "again.json")
    assert load_profile(tmp_path / "again.json") == old


def test_the_name_of_the_figure_in_some_older_profiles_is_read() -> None:
    data = profile().to_dict()
    del data["schema"]
    result = data["operation_profiles"]["matmul_1024"]["precision_results"]["fp32"]
    result["measured_gops"] = result.pop("measured_gflops")
    again = HardwareCalibration.from_dict(data)
    assert again.operation_profiles["matmul_1024"].precision_results["fp32"].measured_gflops == 100.0


def test_the_fields_are_those_that_the_format_promises() -> None:
    promised = {"precision", "supported", "failure_reason", "measured_gflops", "efficiency", "mean_latency_ms"}
    promised |= {"speedup_vs_fp32", "test_size", "num_trials"}
    assert promised <= set(PrecisionTestResult.__dataclass_fields__)


def test_an_efficiency_above_one_is_a_sentence_and_no_efficiency() -> None:
    assert efficiency_of(50.0, 100.0) == (0.5, None)
    assert efficiency_of(100.0, 100.0) == (1.0, None)
    assert efficiency_of(50.0, None) == efficiency_of(None, 1.0) == efficiency_of(1.0, 0.0) == (None, None)
    share, flag = efficiency_of(114.0, 100.0)
    assert share is None
    assert "1.14 times" in str(flag)
