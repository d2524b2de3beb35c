from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amp_runtime.calibration import (
    HardwareCalibration,
    Machine,
    ProfileError,
    StabilityCheck,
    load_profile_for,
    machine_class,
    of_another_machine,
    profile_path,
    save_profile,
    this_machine,
)
from tests.amp_runtime.calibration.records import profile

HERE = Machine(architecture="x86_64", cpu_model="AMD EPYC", cpu_id="AuthenticAMD/25/1", cpus=2)


def _about(**changes: Any) -> HardwareCalibration:
    return profile(metadata=replace(profile().metadata, **changes))


def _of_this_machine(**changes: Any) -> HardwareCalibration:
    known = {"machine_class": machine_class(), "platform_architecture": this_machine().architecture}
    return _about(**known | changes)


def test_the_profile_of_this_machine_is_found(tmp_path: Path) -> None:
    assert load_profile_for(tmp_path) is None
    mine = _of_this_machine()
    save_profile(mine, profile_path(tmp_path))
    assert load_profile_for(tmp_path) == mine
    assert profile_path(tmp_path).parent == tmp_path / ".verify" / "calibration"
    assert load_profile_for(tmp_path, "cuda:9") is None
    with pytest.raises(ValueError, match="'mps' is not calibrated"):
        load_profile_for(tmp_path, "mps")


def test_a_profile_of_a_gpu_is_found_by_the_name_that_pytorch_gives(tmp_path: Path) -> None:
    gpu = _of_this_machine(device_type="cuda", machine_class="cuda-nvidia-x1")
    save_profile(gpu, profile_path(tmp_path, "cuda", device_name="NVIDIA X1"))
    assert load_profile_for(tmp_path, "cuda", device_name="NVIDIA X1") == gpu
    assert load_profile_for(tmp_path, "cuda", device_name="NVIDIA X2") is None


def test_one_that_was_measured_elsewhere_is_refused(tmp_path: Path) -> None:
    save_profile(_of_this_machine(machine_class="cpu-other"), profile_path(tmp_path))
    with pytest.raises(ProfileError, match=r"not measured here: it is of cpu-other, and this machine is cpu-.*again"):
        load_profile_for(tmp_path)
    profile_path(tmp_path).write_text("{", "utf-8")
    with pytest.raises(ProfileError, match="no calibration profile"):
        load_profile_for(tmp_path)


def test_one_of_an_unsteady_machine_is_refused_for_gates(tmp_path: Path) -> None:
    shaky = StabilityCheck(reference="matmul", stable=False, remarks=("it got hot",))
    save_profile(_of_this_machine(stability=shaky), profile_path(tmp_path))
    with pytest.raises(ProfileError, match=r"measured while the machine was not steady \(it got hot\); measure again"):
        load_profile_for(tmp_path)


@pytest.mark.parametrize(
    ("about", "device", "says"),
    [
        ({"machine_class": "cpu-x86_64-amd-epyc-25-1-2t"}, None, ()),
        ({"machine_class": None, "platform_architecture": "unknown"}, None, ()),
        ({"machine_class": None, "platform_architecture": "AMD64"}, "cpu", ()),
        ({}, "cuda", ("it is of a cpu device, and cuda is asked for",)),
        (
            {"platform_architecture": "aarch64"},
            None,
            ("it is of aarch64, and this machine is x86_64",),
        ),
        ({"machine_class": "cpu-y"}, None, ("it is of cpu-y, and this machine is cpu-x86_64-amd-epyc-25-1-2t",)),
        (
            {"device_type": "cuda", "machine_class": "cuda-x"},
            None,
            ("it is of cuda-x, and nothing here tells the name of cuda; nvidia-smi would, or give device_name",),
        ),
    ],
)
def test_what_speaks_against_it_is_said(about: dict[str, Any], device: str | None, says: tuple[str, ...]) -> None:
    assert of_another_machine(_about(**about), device, machine=HERE) == says
