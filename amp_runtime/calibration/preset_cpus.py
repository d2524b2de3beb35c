"""Decides the theoretical peaks of CPUs: operations per cycle of a core, by its clock and the number of cores.

Virtual machines hide which part of a series they run on, so a series counts with the highest turbo clock of all its
parts: an upper bound, and marked as one. Operations per cycle are those of the matrix and vector units: a fused
multiply-add of a 512-bit register in FP32 is 32 operations.
"""

from __future__ import annotations

from amp_runtime.calibration.preset import Preset, Unit

_X86, _ARM = ("x86_64",), ("aarch64",)
_BOUND = "highest turbo clock of the series, so at least the peak of any part of it"
_AVX2 = (Unit(precision="fp64", operations_per_cycle=16), Unit(precision="fp32", operations_per_cycle=32))
_VNNI = (
    *_AVX2,
    Unit(precision="fp64", operations_per_cycle=32, flag="avx512f"),
    Unit(precision="fp32", operations_per_cycle=64, flag="avx512f"),
    Unit(precision="int8", operations_per_cycle=256, flag="avx512_vnni"),
)
_AVX512 = (*_VNNI, Unit(precision="bf16", operations_per_cycle=128, flag="avx512_bf16"))
_AMX = (
    Unit(precision="fp16", operations_per_cycle=128, flag="avx512_fp16"),
    Unit(precision="bf16", operations_per_cycle=1024, flag="amx_bf16"),
    Unit(precision="fp16", operations_per_cycle=1024, flag="amx_fp16"),
    Unit(precision="int8", operations_per_cycle=2048, flag="amx_int8"),
)
# Zen 4 has the instructions of AVX-512 on units of 256 bits, of which there are two.
_ZEN4 = (
    *_AVX2,
    Unit(precision="bf16", operations_per_cycle=64, flag="avx512_bf16"),
    Unit(precision="int8", operations_per_cycle=128, flag="avx512_vnni"),
)
_NEON = (
    Unit(precision="fp64", operations_per_cycle=8),
    Unit(precision="fp32", operations_per_cycle=16),
    Unit(precision="fp16", operations_per_cycle=32, flag="asimdhp"),
    Unit(precision="int8", operations_per_cycle=64, flag="asimddp"),
)
_SVE256 = (
    Unit(precision="fp64", operations_per_cycle=16),
    Unit(precision="fp32", operations_per_cycle=32),
    Unit(precision="fp16", operations_per_cycle=64, flag="asimdhp"),
)
_XEON = r"Intel\(R\) Xeon\(R\)(?!.* [WE][-0-9]).*"
_INTEL = "Intel 64 and IA-32 Architectures Optimization Reference Manual (2024) and Intel ARK"
_EPYC = r"AMD EPYC.*"

CPUS = (
    Preset(
        name="i7-12700k",
        hardware_name="Intel Core i7-12700K",
        device="cpu",
        platforms=_X86,
        theoretical_peaks={"fp64": 748.8, "fp32": 1497.6, "int8": 5990.4},
        peak_bandwidth=76.8,
        model=r".*Core(\(TM\))? i7-12700K\b.*",
        source="Intel ARK, Core i7-12700K (2021), and the optimization reference manual",
        derivation="8 P-cores x 4.9 GHz x 32 FP32 operations a cycle + 4 E-cores x 3.8 GHz x 16; FP64 half of it, INT8 "
        "by AVX-VNNI four times; no BF16 or FP16 arithmetic; DDR5-4800 in two channels",
    ),
    Preset(
        name="ampere-altra-max",
        hardware_name="Ampere Altra Max",
        device="cpu",
        platforms=_ARM,
        per_core=_NEON,
        clock_ghz=3.0,
        peak_bandwidth=204.8,
        cpu_ids=("0x41/8/0xd0c",),
        automatic=False,  # other makers' processors have the same cores at other clocks
        source="Ampere Altra Max data sheet (2021) and Arm Neoverse N1 Software Optimization Guide (2020)",
        derivation="two vector units of 128 bits at 3.0 GHz; no BF16 arithmetic; DDR4-3200 in eight channels a socket",
    ),
    Preset(
        name="graviton3",
        hardware_name="AWS Graviton3",
        device="cpu",
        platforms=_ARM,
        per_core=_SVE256,
        clock_ghz=2.6,
        peak_bandwidth=307.2,
        cpu_ids=("0x41/8/0xd40",),
        source="Arm Neoverse V1 Software Optimization Guide (2021) and AWS's description of Graviton3 (2022)",
        derivation="two SVE units of 256 bits at 2.6 GHz; DDR5-4800 in eight channels",
    ),
    Preset(
        name="xeon-cascade-lake",
        hardware_name="Intel Xeon Scalable, 1st and 2nd generation (Skylake, Cascade Lake)",
        device="cpu",
        platforms=_X86,
        per_core=_VNNI,
        clock_ghz=4.5,
        peak_bandwidth=140.8,
        model=_XEON,
        cpu_ids=("GenuineIntel/6/85",),
        flags=("avx512f",),
        source=f"{_INTEL}, Xeon Gold 6250 (2020)",
        derivation=f"two AVX-512 units; {_BOUND}; DDR4-2933 in six channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="xeon-ice-lake",
        hardware_name="Intel Xeon Scalable, 3rd generation (Ice Lake)",
        device="cpu",
        platforms=_X86,
        per_core=_VNNI,
        clock_ghz=3.7,
        peak_bandwidth=204.8,
        model=_XEON,
        cpu_ids=("GenuineIntel/6/106",),
        flags=("avx512f",),
        source=f"{_INTEL}, 3rd Gen Xeon Scalable (2021)",
        derivation=f"two AVX-512 units; {_BOUND}; DDR4-3200 in eight channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="xeon-sapphire-rapids",
        hardware_name="Intel Xeon Scalable, 4th generation (Sapphire Rapids)",
        device="cpu",
        platforms=_X86,
        per_core=(*_AVX512, *_AMX),
        clock_ghz=4.2,
        peak_bandwidth=307.2,
        model=_XEON,
        cpu_ids=("GenuineIntel/6/143",),
        flags=("avx512f",),
        source=f"{_INTEL}, 4th Gen Xeon Scalable (2023)",
        derivation=f"two AVX-512 units and AMX (BF16 1024, INT8 2048 a cycle); {_BOUND}; DDR5-4800 in eight channels a "
        "socket",
        upper_bound=True,
    ),
    Preset(
        name="xeon-emerald-rapids",
        hardware_name="Intel Xeon Scalable, 5th generation (Emerald Rapids)",
        device="cpu",
        platforms=_X86,
        per_core=(*_AVX512, *_AMX),
        clock_ghz=4.2,
        peak_bandwidth=358.4,
        model=_XEON,
        cpu_ids=("GenuineIntel/6/207",),
        flags=("avx512f",),
        source=f"{_INTEL}, 5th Gen Xeon Scalable (2023)",
        derivation=f"two AVX-512 units and AMX (BF16 1024, INT8 2048 a cycle); {_BOUND}; DDR5-5600 in eight channels a "
        "socket",
        upper_bound=True,
    ),
    Preset(
        name="epyc-7002",
        hardware_name="AMD EPYC 7002 series (Zen 2, Rome)",
        device="cpu",
        platforms=_X86,
        per_core=_AVX2,
        clock_ghz=3.9,
        peak_bandwidth=204.8,
        model=_EPYC,
        cpu_ids=("AuthenticAMD/23/49",),
        source="AMD EPYC 7002 series data sheet (2020) and Software Optimization Guide for family 17h, models 30h on",
        derivation=f"two FMA units of 256 bits; {_BOUND} (7F32); DDR4-3200 in eight channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="epyc-7003",
        hardware_name="AMD EPYC 7003 series (Zen 3, Milan)",
        device="cpu",
        platforms=_X86,
        per_core=_AVX2,
        clock_ghz=4.1,
        peak_bandwidth=204.8,
        model=_EPYC,
        cpu_ids=("AuthenticAMD/25/1",),
        source="AMD EPYC 7003 series data sheet (2021) and Software Optimization Guide for the Zen 3 microarchitecture",
        derivation=f"two FMA units of 256 bits; {_BOUND} (72F3); DDR4-3200 in eight channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="epyc-9004",
        hardware_name="AMD EPYC 9004 series (Zen 4, Genoa and Bergamo)",
        device="cpu",
        platforms=_X86,
        per_core=_ZEN4,
        clock_ghz=4.4,
        peak_bandwidth=460.8,
        model=_EPYC,
        cpu_ids=("AuthenticAMD/25/17", "AuthenticAMD/25/160"),
        source="AMD EPYC 9004 series data sheet (2022) and Software Optimization Guide for the Zen 4 microarchitecture",
        derivation=f"two FMA units of 256 bits; {_BOUND} (9174F); DDR5-4800 in twelve channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="epyc-9005",
        hardware_name="AMD EPYC 9005 series (Zen 5, Turin)",
        device="cpu",
        platforms=_X86,
        per_core=_AVX512,
        clock_ghz=5.0,
        peak_bandwidth=614.4,
        model=_EPYC,
        cpu_ids=("AuthenticAMD/26/2", "AuthenticAMD/26/17"),
        source="AMD EPYC 9005 series data sheet (2024) and Software Optimization Guide for the Zen 5 microarchitecture",
        derivation=f"two FMA units of 512 bits; {_BOUND} (9175F); DDR5-6400 in twelve channels a socket",
        upper_bound=True,
    ),
    Preset(
        name="x86-avx512",
        hardware_name="x86-64 CPU with AVX-512",
        device="cpu",
        platforms=_X86,
        per_core=_AVX512,
        flags=("avx512f",),
        automatic=False,
        source="Intel 64 and IA-32 Architectures Optimization Reference Manual (2024)",
        derivation="two units of 512 bits, as many as any such CPU has, at the highest clock the system states",
        upper_bound=True,
    ),
    Preset(
        name="x86-avx2",
        hardware_name="x86-64 CPU with AVX2",
        device="cpu",
        platforms=_X86,
        per_core=_AVX2,
        flags=("avx2", "fma"),
        automatic=False,
        source="Intel 64 and IA-32 Architectures Optimization Reference Manual (2024)",
        derivation="two FMA units of 256 bits, as many as any such CPU has, at the highest clock the system states",
        upper_bound=True,
    ),
)
