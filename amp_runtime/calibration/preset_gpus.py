"""Decides the theoretical peaks of GPUs: dense, at the stated boost clock, with accumulation in FP32 as PyTorch has it.

Data sheets print Tensor Core figures "with sparsity", which is twice what a dense product can reach; those stand here
halved. FP64 and FP32 are those of the matrix units where a GPU has such for them, since matrix products use them.
"""

from __future__ import annotations

from collections.abc import Mapping

from amp_runtime.calibration.preset import Preset

_SERVER = ("x86_64",)
_ANY = ("x86_64", "aarch64")
_HALVED = "Tensor Core figures halved, since they are printed with sparsity"
_HOPPER = "FP64 of the Tensor Cores; TF32, BF16, FP16, FP8 and INT8 halved, since they are printed with sparsity"


def _gpu(  # noqa: PLR0913, PLR0917 - one row of a table
    name: str,
    hardware_name: str,
    model: str,
    tera: Mapping[str, float],
    bandwidth: float,
    source: str,
    derivation: str = _HALVED,
    *,
    platforms: tuple[str, ...] = _ANY,
    board: str = "",
) -> Preset:
    return Preset(
        name=name,
        hardware_name=hardware_name,
        device="cuda",
        platforms=platforms,
        theoretical_peaks={precision: round(value * 1000, 3) for precision, value in _both_fp8(tera).items()},
        peak_bandwidth=bandwidth,
        model=model,
        board=board,
        source=source,
        derivation=derivation,
    )


def _both_fp8(tera: Mapping[str, float]) -> dict[str, float]:
    """Write FP8 out: both of its formats run at one rate."""
    rest = {precision: value for precision, value in tera.items() if precision != "fp8"}
    return rest | ({"fp8_e4m3": tera["fp8"], "fp8_e5m2": tera["fp8"]} if "fp8" in tera else {})


_H100_SXM = {"fp64": 66.9, "fp32": 66.9, "tf32": 494.7, "bf16": 989.4, "fp16": 989.4, "fp8": 1978.9, "int8": 1978.9}
_H100_PCIE = {"fp64": 51.2, "fp32": 51.2, "tf32": 378.0, "bf16": 756.0, "fp16": 756.0, "fp8": 1513.0, "int8": 1513.0}
_NVL = {"fp64": 60.0, "fp32": 60.0, "tf32": 417.5, "bf16": 835.5, "fp16": 835.5, "fp8": 1670.5, "int8": 1670.5}
_A100 = {"fp64": 19.5, "fp32": 19.5, "tf32": 156.0, "bf16": 312.0, "fp16": 312.0, "int8": 624.0}
_B200 = {"fp64": 37.0, "fp32": 75.0, "tf32": 1125.0, "bf16": 2250.0, "fp16": 2250.0, "fp8": 4500.0, "int8": 4500.0}
_GB200 = {"fp64": 40.0, "fp32": 80.0, "tf32": 1250.0, "bf16": 2500.0, "fp16": 2500.0, "fp8": 5000.0, "int8": 5000.0}
_L4 = {"fp32": 30.3, "tf32": 60.0, "bf16": 121.0, "fp16": 121.0, "fp8": 242.5, "int8": 242.5}
_L40S = {"fp32": 91.6, "tf32": 183.0, "bf16": 366.5, "fp16": 366.5, "fp8": 733.0, "int8": 733.0}
_RTX4090 = {"fp64": 1.29, "fp32": 82.6, "tf32": 82.6, "bf16": 165.2, "fp16": 165.2, "fp8": 330.3, "int8": 660.6}
_RTX5090 = {"fp64": 1.64, "fp32": 104.8, "tf32": 104.8, "bf16": 209.5, "fp16": 209.5, "fp8": 419.0, "int8": 838.0}
_RTX3090 = {"fp64": 0.556, "fp32": 35.6, "tf32": 35.6, "bf16": 71.0, "fp16": 71.0, "int8": 284.0}
_MI300X = {"fp64": 163.4, "fp32": 163.4, "tf32": 653.7, "bf16": 1307.4, "fp16": 1307.4, "fp8": 2614.9, "int8": 2614.9}
_DENSE = "dense figures as printed"
_FP32_SUMS = "dense figures with accumulation in FP32; FP64 is 1/64 of FP32"
_ORIN = "FP32 of the CUDA cores; the GPU's INT8 halved for sparsity, FP16 and BF16 half of that, TF32 a quarter"

GPUS = (
    _gpu(
        "h100-sxm5",
        "NVIDIA H100 SXM5 80 GB",
        r"(NVIDIA )?H100 80GB HBM3",
        _H100_SXM,
        3350.0,
        "NVIDIA H100 Tensor Core GPU data sheet (2023) and Hopper architecture white paper (2022)",
        _HOPPER,
        platforms=_SERVER,
    ),
    _gpu(
        "h100-pcie",
        "NVIDIA H100 PCIe 80 GB",
        r"(NVIDIA )?H100 PCIe",
        _H100_PCIE,
        2000.0,
        "NVIDIA H100 PCIe product brief and Hopper architecture white paper (2022)",
        _HOPPER,
    ),
    _gpu(
        "h100-nvl",
        "NVIDIA H100 NVL 94 GB",
        r"(NVIDIA )?H100 NVL",
        _NVL,
        3900.0,
        "NVIDIA H100 Tensor Core GPU data sheet (2024)",
        _HOPPER,
    ),
    _gpu(
        "gh200",
        "NVIDIA GH200, Hopper GPU",
        r"(NVIDIA )?GH200 (480GB|120GB)",
        _H100_SXM,
        4000.0,
        "NVIDIA GH200 Grace Hopper Superchip data sheet (2023), with HBM3",
        _HOPPER,
        platforms=("aarch64",),
    ),
    _gpu(
        "h200-sxm",
        "NVIDIA H200 SXM 141 GB",
        r"(NVIDIA )?H200",
        _H100_SXM,
        4800.0,
        "NVIDIA H200 Tensor Core GPU data sheet (2024)",
        _HOPPER,
        platforms=_SERVER,
    ),
    _gpu(
        "h200-nvl",
        "NVIDIA H200 NVL 141 GB",
        r"(NVIDIA )?H200 NVL",
        _NVL,
        4800.0,
        "NVIDIA H200 Tensor Core GPU data sheet (2024)",
        _HOPPER,
    ),
    _gpu(
        "b200",
        "NVIDIA B200 SXM (HGX, 1000 W)",
        r"(NVIDIA )?B200",
        _B200,
        8000.0,
        "NVIDIA HGX B200 and DGX B200 data sheets (2025)",
        f"{_HALVED}; an eighth of eight GPUs for TF32 and bandwidth",
        platforms=_SERVER,
    ),
    _gpu(
        "gb200",
        "NVIDIA GB200, one Blackwell GPU (1200 W)",
        r"(NVIDIA )?GB200",
        _GB200,
        8000.0,
        "NVIDIA GB200 NVL72 data sheet (2025)",
        platforms=("aarch64",),
    ),
    _gpu(
        "a100-sxm4-80gb",
        "NVIDIA A100 SXM4 80 GB",
        r"(NVIDIA )?A100-SXM4-80GB",
        _A100,
        2039.0,
        "NVIDIA A100 Tensor Core GPU data sheet (2021)",
        "dense figures as printed; FP64 of the Tensor Cores",
    ),
    _gpu(
        "a100-sxm4-40gb",
        "NVIDIA A100 SXM4 40 GB",
        r"(NVIDIA )?A100-SXM4-40GB",
        _A100,
        1555.0,
        "NVIDIA A100 Tensor Core GPU data sheet (2020)",
        "dense figures as printed; FP64 of the Tensor Cores",
    ),
    _gpu(
        "a100-pcie-80gb",
        "NVIDIA A100 PCIe 80 GB",
        r"(NVIDIA )?A100 80GB PCIe",
        _A100,
        1935.0,
        "NVIDIA A100 Tensor Core GPU data sheet (2021)",
        "dense figures as printed; FP64 of the Tensor Cores",
    ),
    _gpu(
        "a100-pcie-40gb",
        "NVIDIA A100 PCIe 40 GB",
        r"(NVIDIA )?A100-PCIE-40GB",
        _A100,
        1555.0,
        "NVIDIA A100 Tensor Core GPU data sheet (2020)",
        "dense figures as printed; FP64 of the Tensor Cores",
    ),
    _gpu(
        "l4",
        "NVIDIA L4",
        r"(NVIDIA )?L4",
        _L4,
        300.0,
        "NVIDIA L4 Tensor Core GPU data sheet (2023)",
    ),
    _gpu(
        "l40s",
        "NVIDIA L40S",
        r"(NVIDIA )?L40S",
        _L40S,
        864.0,
        "NVIDIA L40S GPU data sheet (2023)",
    ),
    _gpu(
        "a10",
        "NVIDIA A10",
        r"(NVIDIA )?A10",
        {"fp32": 31.2, "tf32": 62.5, "bf16": 125.0, "fp16": 125.0, "int8": 250.0},
        600.0,
        "NVIDIA A10 Tensor Core GPU data sheet (2021)",
        _DENSE,
    ),
    _gpu(
        "t4",
        "NVIDIA T4",
        r"(Tesla|NVIDIA) T4",
        {"fp32": 8.1, "fp16": 65.0, "int8": 130.0},
        320.0,
        "NVIDIA T4 Tensor Core GPU data sheet (2019)",
        _DENSE,
    ),
    _gpu(
        "v100-sxm2",
        "NVIDIA V100 SXM2",
        r"(Tesla|NVIDIA) V100-SXM2-(16|32)GB",
        {"fp64": 7.8, "fp32": 15.7, "fp16": 125.0},
        900.0,
        "NVIDIA V100 Tensor Core GPU data sheet (2018)",
        _DENSE,
    ),
    _gpu(
        "rtx-4090",
        "NVIDIA GeForce RTX 4090",
        r"(NVIDIA )?GeForce RTX 4090",
        _RTX4090,
        1008.0,
        "NVIDIA Ada GPU architecture white paper (2022)",
        _FP32_SUMS,
        platforms=_SERVER,
    ),
    _gpu(
        "rtx-5090",
        "NVIDIA GeForce RTX 5090",
        r"(NVIDIA )?GeForce RTX 5090",
        _RTX5090,
        1792.0,
        "NVIDIA RTX Blackwell GPU architecture white paper (2025)",
        _FP32_SUMS,
        platforms=_SERVER,
    ),
    _gpu(
        "rtx-3090",
        "NVIDIA GeForce RTX 3090",
        r"(NVIDIA )?GeForce RTX 3090",
        _RTX3090,
        936.0,
        "NVIDIA Ampere GA102 GPU architecture white paper (2020)",
        _FP32_SUMS,
        platforms=_SERVER,
    ),
    _gpu(
        "jetson-orin-agx",
        "NVIDIA Jetson AGX Orin 64 GB",
        r"(NVIDIA )?(Jetson AGX )?Orin",
        {"fp32": 5.325, "tf32": 21.25, "bf16": 42.5, "fp16": 42.5, "int8": 85.0},
        204.8,
        "NVIDIA Jetson AGX Orin Series technical brief v1.2 (2022)",
        f"{_ORIN}; power mode MAXN (GPU at 1.3 GHz)",
        platforms=("aarch64",),
        board=r".*AGX Orin.*",
    ),
    _gpu(
        "jetson-orin-nano",
        "NVIDIA Jetson Orin Nano 8 GB",
        r"(NVIDIA )?(Jetson )?Orin( Nano)?",
        {"fp32": 1.28, "tf32": 5.12, "bf16": 10.24, "fp16": 10.24, "int8": 20.48},
        68.0,
        "NVIDIA Jetson Orin Nano Series data sheet (2023)",
        f"{_ORIN}; 1024 CUDA cores and 32 Tensor Cores at 625 MHz, so not the faster modes of the Super kit",
        platforms=("aarch64",),
        board=r".*Orin Nano.*",
    ),
    _gpu(
        "mi300x",
        "AMD Instinct MI300X",
        r"(AMD )?Instinct MI300X.*",
        _MI300X,
        5300.0,
        "AMD Instinct MI300X data sheet (2023)",
        "dense matrix figures as printed",
        platforms=_SERVER,
    ),
    _gpu(
        "mi325x",
        "AMD Instinct MI325X",
        r"(AMD )?Instinct MI325X.*",
        _MI300X,
        6000.0,
        "AMD Instinct MI325X data sheet (2024)",
        "dense matrix figures as printed",
        platforms=_SERVER,
    ),
)
