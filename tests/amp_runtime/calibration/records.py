"""Profiles for tests: one with every kind of record, and strategies for arbitrary ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from amp_runtime.calibration import (
    CalibrationMetadata,
    FusionCalibration,
    HardwareCalibration,
    Interval,
    OperationCalibration,
    PrecisionCapabilityMatrix,
    PrecisionTestResult,
    StabilityCheck,
)

_TEXTS = st.text(max_size=8)
_FIGURES = st.floats(min_value=0, max_value=1e15)
_SHARES = st.floats(min_value=0, max_value=1)
_COUNTS = st.integers(min_value=0, max_value=2**53)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=4,
)
_UNKNOWN = st.dictionaries(_TEXTS.map("x-{}".format), _JSON, max_size=2)
_SHARE_FIELDS = ("efficiency", "bandwidth_efficiency", "best_efficiency", "avg_efficiency", "worst_efficiency")


def _field(kind: type, name: str, hint: str) -> st.SearchStrategy[Any]:
    inner = hint.removesuffix(" | None")
    known: dict[str, st.SearchStrategy[Any]] = {
        "str": _TEXTS,
        "bool": st.booleans(),
        "int": _COUNTS,
        "float": _SHARES if name in (*_SHARE_FIELDS, "confidence") else _FIGURES,
        "tuple[int, ...]": st.lists(_COUNTS, max_size=3).map(tuple),
        "tuple[str, ...]": st.lists(_TEXTS, max_size=3).map(tuple),
        "Mapping[str, float]": st.dictionaries(_TEXTS, _FIGURES, max_size=2),
        "Mapping[str, str]": st.dictionaries(_TEXTS, _TEXTS, max_size=2),
        "Mapping[str, Any]": _UNKNOWN if name == "unknown" else st.dictionaries(_TEXTS, _JSON, max_size=2),
    }
    if name == "schema":
        return st.just("amp-runtime-calibration/2")
    found = known[inner] if inner in known else _records(inner)
    return st.none() | found if hint.endswith("| None") else found


def _records(hint: str) -> st.SearchStrategy[Any]:
    kinds = (Interval, PrecisionTestResult, PrecisionCapabilityMatrix, OperationCalibration, FusionCalibration)
    for kind in (*kinds, CalibrationMetadata, StabilityCheck):
        if hint == kind.__name__:
            return records(kind)
        if hint == f"Mapping[str, {kind.__name__}]":
            return st.dictionaries(_TEXTS, records(kind), max_size=2)
    raise AssertionError(hint)


def records(kind: type) -> st.SearchStrategy[Any]:
    """Build any record of a kind, field by field, from its annotations."""
    return st.builds(kind, **{field.name: _field(kind, field.name, str(field.type)) for field in fields(kind)})


def profile(**changes: Any) -> HardwareCalibration:
    """Return a small profile as this machine class would have it, with a supported and an unsupported precision."""
    results = {
        "fp32": PrecisionTestResult(
            precision="fp32",
            supported=True,
            measured_gflops=100.0,
            gflops_interval=Interval(low=98.0, high=101.0),
            efficiency=0.8,
            mean_latency_ms=21.5,
            median_latency_ms=21.4,
            speedup_vs_fp32=1.0,
            test_size=1024,
            num_trials=30,
            arithmetic_intensity=170.7,
            native=True,
        ),
        "bf16": PrecisionTestResult(
            precision="bf16",
            supported=True,
            measured_gflops=25.0,
            median_latency_ms=86.0,
            speedup_vs_fp32=0.25,
            test_size=1024,
            num_trials=30,
            arithmetic_intensity=341.3,
            native=False,
        ),
        "fp8_e4m3": PrecisionTestResult(
            precision="fp8_e4m3", supported=False, failure_reason="RuntimeError: not implemented", test_size=1024
        ),
    }
    given: dict[str, Any] = {
        "metadata": CalibrationMetadata(
            hardware_name="AMD EPYC",
            calibration_date="2026-12-01T10:00:00+00:00",
            platform_architecture="x86_64",
            machine_class="cpu-x86_64-amd-epyc-25-1-2t",
            stability=StabilityCheck(reference="matmul fp32 512", change_percent=-0.4, stable=True),
        ),
        "theoretical_peak_gflops": 125.0,
        "measured_bandwidth_gbps": 20.0,
        "operation_profiles": {
            "matmul_1024": OperationCalibration(
                operation_type="matmul", arithmetic_intensity=170.7, precision_results=results
            )
        },
        "fusion_profiles": {
            "linear_gelu_fp32": FusionCalibration(
                fusion_pattern="linear_gelu",
                operators=("linear", "gelu"),
                num_operators=2,
                precision="fp32",
                unfused_latency_ms=2.0,
                fused_latency_ms=1.6,
                speedup_factor=1.25,
                speedup_interval=Interval(low=1.2, high=1.3),
            )
        },
        "precision_matrix": PrecisionCapabilityMatrix(
            hardware_name="AMD EPYC",
            supported_precisions=("fp32", "bf16"),
            unsupported_precisions=("fp8_e4m3",),
            peak_gflops_by_precision={"fp32": 100.0, "bf16": 25.0},
            speedup_vs_fp32={"fp32": 1.0, "bf16": 0.25},
            theoretical_peaks={"fp32": 125.0},
            reasons={"fp8_e4m3": "RuntimeError: not implemented"},
        ),
    }
    return HardwareCalibration(**given | changes)
