from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from amp_runtime.calibration import HardwareCalibration, StabilityCheck, load_profile
from amp_runtime.calibration.table import table
from tests.amp_runtime.calibration.records import profile, records
from tests.amp_runtime.calibration.test_schema import OLD


def test_the_table_says_what_was_measured_in_which_precision_and_what_cannot_run() -> None:
    text = table(profile())
    assert re.search(r"fp32 +native +100 +\[98\.0, 101\] +80 % +1\.00x +matmul_1024", text)
    assert re.search(r"bf16 +emulated +25\.0 +- +0\.25x", text)
    assert re.search(r"fp8_e4m3 +no +RuntimeError: not implemented", text)
    assert "memory bandwidth 20.0 GB/s" in text
    assert re.search(r"linear_gelu +fp32 +2\.00 +1\.60 +1\.25x +\[1\.20, 1\.30\]", text)
    assert "NOT STEADY" not in text


def test_an_impossible_efficiency_is_a_warning_in_place_of_a_percentage() -> None:
    text = table(load_profile(OLD))
    assert "114 %" not in text
    assert "115 %" not in text
    assert "warning: matmul_matrix_size=4096_large: above the stated peak (1.15 times)" in text
    fast = profile(precision_matrix=replace(profile().precision_matrix, theoretical_peaks={"fp32": 90.0}))
    assert re.search(r"fp32 +native +100 +\[98\.0, 101\] +above peak! ", table(fast))


def test_a_machine_that_was_not_steady_is_the_first_thing_that_is_said() -> None:
    about = profile().metadata
    shaky = replace(about, stability=StabilityCheck(reference="matmul", stable=False, remarks=("it got hot",)))
    lines = table(profile(metadata=shaky)).splitlines()
    assert any(line.startswith("NOT STEADY") for line in lines[:3])
    assert lines[-1] == "warning: it got hot"


def test_an_upper_bound_shows_at_every_share() -> None:
    about = replace(profile().metadata, preset="epyc-7003", upper_bound=True)
    text = table(profile(metadata=about))
    assert ">= 80 %" in text
    assert "an upper bound, so every efficiency is at least what is shown" in text


def test_without_a_preset_there_is_no_efficiency() -> None:
    matrix = replace(profile().precision_matrix, theoretical_peaks={})
    bare = profile(theoretical_peak_gflops=None, precision_matrix=matrix)
    assert "no preset is of this device" in table(bare)
    assert not re.search(r"fp32 .* %", table(bare))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records(HardwareCalibration))
def test_any_profile_has_a_table_without_control_characters(one: HardwareCalibration) -> None:
    text = table(one)
    assert all(character == "\n" or character.isprintable() for character in text)
