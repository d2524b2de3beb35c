from __future__ import annotations

import re
from dataclasses import replace

import pytest

from amp_runtime.calibration import PRECISIONS, Machine, efficiency_of
from amp_runtime.calibration.preset import Preset, names_device, peaks_of
from amp_runtime.calibration.presets import PRESETS, compatible, peaks_for, recognised

MILAN = Machine(
    architecture="x86_64",
    cpu_model="AMD EPYC",
    cpu_id="AuthenticAMD/25/1",
    cpu_flags=frozenset({"avx2", "fma"}),
    cpus=2,
    cores=2,
)
SAPPHIRE = replace(
    MILAN,
    cpu_model="Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
    cpu_id="GenuineIntel/6/143",
    cpu_flags=frozenset(
        {"avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8"}
    ),
    cores=4,
    sockets=2,
)
ALTRA = replace(MILAN, architecture="aarch64", cpu_model="aarch64", cpu_id="0x41/8/0xd0c", cpu_flags=frozenset())
TORCH_NAMES = {
    "NVIDIA H100 80GB HBM3": "h100-sxm5",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA H200": "h200-sxm",
    "NVIDIA H200 NVL": "h200-nvl",
    "NVIDIA B200": "b200",
    "NVIDIA A100-SXM4-80GB": "a100-sxm4-80gb",
    "NVIDIA A100-SXM4-40GB": "a100-sxm4-40gb",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb",
    "NVIDIA L4": "l4",
    "NVIDIA L40S": "l40s",
    "NVIDIA GeForce RTX 4090": "rtx-4090",
    "NVIDIA GeForce RTX 5090": "rtx-5090",
    "Tesla T4": "t4",
    "Tesla V100-SXM2-16GB": "v100-sxm2",
    "AMD Instinct MI300X": "mi300x",
    "NVIDIA GeForce RTX 4090 Laptop GPU": None,
    "NVIDIA GeForce RTX 4090 D": None,
    "NVIDIA H200 MIG 1g.18gb": None,
    "NVIDIA L40": None,
    "Orin": None,
}
OF_GPUS = [preset for preset in PRESETS.values() if preset.device == "cuda"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_preset_says_whose_figures_of_which_year_and_how_they_follow(preset: Preset) -> None:
    assert re.search(r"\b20[12]\d\b", preset.source)
    assert re.match(r"NVIDIA|AMD|Intel|Ampere|Arm", preset.source)
    assert preset.derivation
    assert preset.device in ("cpu", "cuda")
    assert set(preset.platforms) <= {"x86_64", "aarch64"}
    assert bool(preset.theoretical_peaks) != bool(preset.per_core)
    assert preset.model or preset.cpu_ids or preset.flags
    figures = {**preset.theoretical_peaks, "bandwidth": preset.peak_bandwidth or 1.0}
    assert all(value > 0 for value in figures.values())
    assert {*preset.theoretical_peaks, *(unit.precision for unit in preset.per_core)} <= set(PRECISIONS)
    assert preset.upper_bound or preset.clock_ghz or preset.theoretical_peaks


def test_the_promised_presets_are_there() -> None:
    assert {"i7-12700k", "h100-sxm5", "jetson-orin-agx", "jetson-orin-nano", "ampere-altra-max"} <= set(PRESETS)


@pytest.mark.parametrize(
    "preset", [item for item in PRESETS.values() if item.device == "cuda"], ids=lambda item: item.name
)
def test_narrower_formats_are_as_much_faster_as_dense_units_are(preset: Preset) -> None:
    """A figure with sparsity would be twice its dense neighbour's."""
    peaks = preset.theoretical_peaks
    assert peaks.get("bf16", peaks["fp16"]) == peaks["fp16"]
    if "tf32" in peaks:
        assert peaks["fp16"] == pytest.approx(2 * peaks["tf32"], rel=0.02)
    if "fp8_e4m3" in peaks:
        assert peaks["fp8_e4m3"] == peaks["fp8_e5m2"] == pytest.approx(2 * peaks["fp16"], rel=0.01)
    assert peaks["int8"] <= 4.01 * peaks["fp16"] if "int8" in peaks else True


def test_the_figures_that_are_printed_with_sparsity_stand_here_dense() -> None:
    peaks = PRESETS["h100-sxm5"].theoretical_peaks
    assert (peaks["fp16"], peaks["bf16"], peaks["fp8_e4m3"], peaks["int8"]) == (989400, 989400, 1978900, 1978900)
    assert PRESETS["jetson-orin-agx"].theoretical_peaks["int8"] == 85000


@pytest.mark.parametrize(("name", "preset"), TORCH_NAMES.items())
def test_a_gpu_is_recognised_by_its_whole_name(name: str, preset: str | None) -> None:
    found = recognised(MILAN, "cuda", name)
    assert (found.name if found else None) == preset
    assert recognised(replace(MILAN, cuda_devices=(name,)), "cuda") == found


def test_jetsons_are_told_apart_by_their_board() -> None:
    agx = replace(ALTRA, board="NVIDIA Jetson AGX Orin Developer Kit", cuda_devices=("Orin",))
    nano = replace(agx, board="NVIDIA Jetson Orin Nano Developer Kit")
    assert [recognised(board, "cuda") for board in (agx, nano)] == [
        PRESETS["jetson-orin-agx"],
        PRESETS["jetson-orin-nano"],
    ]
    assert recognised(replace(agx, board=""), "cuda") is None


def test_cpus_are_recognised_by_what_they_say_of_themselves() -> None:
    assert compatible(MILAN) == ("epyc-7003", "x86-avx2")
    assert compatible(SAPPHIRE) == ("xeon-sapphire-rapids", "x86-avx512", "x86-avx2")
    assert compatible(ALTRA) == ("ampere-altra-max",)
    assert recognised(MILAN, "cpu") == PRESETS["epyc-7003"]
    assert recognised(ALTRA, "cpu") is None
    desktop = replace(MILAN, cpu_model="12th Gen Intel(R) Core(TM) i7-12700K", cpu_id="GenuineIntel/6/151")
    assert recognised(desktop, "cpu") == PRESETS["i7-12700k"]
    workstation = replace(SAPPHIRE, cpu_model="Intel(R) Xeon(R) w9-3495X")
    assert recognised(workstation, "cpu") is None


def test_a_series_counts_cores_clock_and_the_features_that_are_there() -> None:
    peaks = peaks_for(SAPPHIRE, "cpu")
    assert (peaks.preset, peaks.upper_bound, peaks.bandwidth_gbps) == ("xeon-sapphire-rapids", True, 614.4)
    assert peaks.theoretical_peaks == pytest.approx(
        {
            "fp64": 4 * 4.2 * 32,
            "fp32": 4 * 4.2 * 64,
            "int8": 4 * 4.2 * 2048,
            "bf16": 4 * 4.2 * 1024,
            "fp16": 4 * 4.2 * 128,
        }
    )
    masked = replace(SAPPHIRE, cpu_flags=frozenset({"avx512f", "avx512_bf16"}))
    assert peaks_for(masked, "cpu").theoretical_peaks == pytest.approx(
        {"fp64": 537.6, "fp32": 1075.2, "bf16": 4 * 4.2 * 128}
    )
    assert "4 cores x 4.2 GHz" in str(peaks.source)


def test_generic_presets_need_a_clock_that_the_system_states() -> None:
    with pytest.raises(ValueError, match="highest clock, which this system does not state; leave out --preset"):
        peaks_of(PRESETS["x86-avx2"], MILAN)
    stated = peaks_of(PRESETS["x86-avx2"], replace(MILAN, max_clock_ghz=3.5))
    assert stated.theoretical_peaks == {"fp64": 112.0, "fp32": 224.0}
    assert stated.bandwidth_gbps is None


def test_an_unknown_device_has_no_peaks_and_so_no_efficiency() -> None:
    unknown = replace(MILAN, cpu_model="QEMU Virtual CPU", cpu_id="AuthenticAMD/15/107")
    peaks = peaks_for(unknown, "cpu")
    assert (peaks.preset, dict(peaks.theoretical_peaks), peaks.bandwidth_gbps) == (None, {}, None)
    assert efficiency_of(100.0, peaks.theoretical_peaks.get("fp32")) == (None, None)


def test_no_two_presets_claim_the_same_name() -> None:
    for name, expected in TORCH_NAMES.items():
        claiming = [
            preset.name for preset in PRESETS.values() if preset.device == "cuda" and names_device(preset, name)
        ]
        assert claiming == ([expected] if expected else []) or name == "Orin"
