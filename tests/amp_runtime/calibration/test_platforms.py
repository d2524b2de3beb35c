from __future__ import annotations

from dataclasses import replace

import pytest

from amp_runtime.calibration import Machine
from amp_runtime.calibration.platforms import mismatches
from amp_runtime.calibration.presets import PRESETS

X86 = Machine(
    architecture="x86_64", cpu_model="AMD EPYC 7763", cpu_id="AuthenticAMD/25/1", cpu_flags=frozenset({"avx2", "fma"})
)
ARM = replace(X86, architecture="aarch64", cpu_model="Cortex-A78AE", cpu_id="0x41/8/0xd42", cpu_flags=frozenset())


@pytest.mark.parametrize(
    ("preset", "machine", "gpu", "says"),
    [
        ("epyc-7003", X86, None, []),
        ("h200-sxm", X86, "NVIDIA H200", []),
        ("h200-sxm", replace(X86, cuda_devices=("NVIDIA H200", "NVIDIA H200")), None, []),
        ("jetson-orin-nano", X86, None, ["it is of aarch64, and this machine is x86_64", "has no CUDA device"]),
        ("i7-12700k", ARM, None, ["it is of x86_64, and this machine is aarch64", "is Cortex-A78AE (0x41/8/0xd42)"]),
        ("h100-sxm5", X86, "NVIDIA H200", ["it is of NVIDIA H100 SXM5 80 GB, and this GPU is NVIDIA H200"]),
        ("h100-sxm5", replace(X86, cuda_devices=("A", "B")), None, ["this machine has GPUs of several kinds"]),
        ("jetson-orin-nano", replace(ARM, board="Jetson AGX Orin"), "Orin", ["this board is Jetson AGX Orin"]),
        ("jetson-orin-nano", ARM, "Orin", ["this board is unknown"]),
        ("epyc-9004", X86, None, ["it is of AMD EPYC 9004 series", "this CPU is AMD EPYC 7763 (AuthenticAMD/25/1)"]),
        ("x86-avx512", X86, None, ["it needs avx512f, which this CPU does not have"]),
    ],
)
def test_what_speaks_against_a_preset_is_said(preset: str, machine: Machine, gpu: str | None, says: list[str]) -> None:
    said = mismatches(PRESETS[preset], machine, gpu)
    assert bool(said) == bool(says)
    assert all(any(part in line for line in said) for part in says)


def test_a_name_that_a_system_gives_cannot_break_the_sentence() -> None:
    (said,) = mismatches(PRESETS["epyc-9004"], replace(X86, cpu_model="\x1b[31m\n" * 90))
    assert said.isprintable()
    assert len(said) < 200
