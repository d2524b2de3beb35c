from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from amp_runtime.calibration import Machine, machine_class
from amp_runtime.calibration.machine import architecture_of, cuda_name, describe_machine, usable_cpus

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu avx2 avx512f amx_bf16

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd asimdhp
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0c

Model\t\t: A board
"""


def _root(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def _without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", absent)


def _with_gpus(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def answer(*_args: object, **_kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess((), 0, "".join(f"{name}, 570.1\n" for name in names), "")

    monkeypatch.setattr(subprocess, "run", answer)


def test_an_intel_server_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_gpus(monkeypatch)
    root = _root(tmp_path, proc__cpuinfo=INTEL, proc__meminfo="MemTotal:       16384000 kB\n")
    seen = replace(describe_machine(root, {}), architecture="x86_64", cpus=4)
    assert (seen.cpu_id, seen.memory_gb, seen.cuda_devices) == ("GenuineIntel/6/143", 16.8, None)
    assert "amx_bf16" in seen.cpu_flags
    assert machine_class(machine=seen) == "cpu-x86_64-intel-xeon-platinum-8481c-cpu-6-143-4t"


def test_an_arm_board_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_gpus(monkeypatch)
    root = _root(tmp_path, proc__cpuinfo=ARM, **{"proc__device-tree__model": "NVIDIA Jetson AGX Orin Kit\0"})
    seen = describe_machine(root, {})
    assert (seen.cpu_model, seen.cpu_id) == ("A board", "0x41/8/0xd0c")
    assert (seen.board, seen.cuda_devices) == ("NVIDIA Jetson AGX Orin Kit", ("Orin",))


def test_a_system_that_tells_nothing_is_described_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_gpus(monkeypatch)
    seen = describe_machine(tmp_path, {})
    assert seen.cpus >= 1
    assert (seen.cpu_id, seen.cpu_flags, seen.memory_gb, seen.board) == ("", frozenset(), None, "")
    assert machine_class(machine=seen).startswith("cpu-")


@pytest.mark.parametrize(
    ("visible", "left"),
    [
        (None, ("A", "B", "B")),
        ("", ()),
        ("-1", ()),
        ("1", ("B",)),
        ("2, 0", ("B", "A")),
        ("7", ()),
        ("GPU-1234", ("A", "B", "B")),
    ],
)
def test_only_the_gpus_that_may_be_used_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, left: tuple[str, ...]
) -> None:
    _with_gpus(monkeypatch, "A", "B", "B")
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert describe_machine(tmp_path, environment).cuda_devices == left


def test_a_gpu_has_a_class_where_its_name_is_certain() -> None:
    alike = Machine(architecture="x86_64", cuda_devices=("NVIDIA H100 80GB",) * 2)
    assert machine_class("cuda:1", machine=alike) == machine_class("cuda", machine=alike) == "cuda-nvidia-h100-80gb"
    mixed = replace(alike, cuda_devices=("NVIDIA L4", "NVIDIA T4"))
    assert cuda_name(mixed, 1) is None
    assert machine_class("cuda:1", machine=mixed, device_name="Tesla T4") == "cuda-tesla-t4"
    for device, machine in (("cuda", mixed), ("cuda:2", alike), ("cuda", replace(alike, cuda_devices=None))):
        with pytest.raises(ValueError, match="nothing here tells the name"):
            machine_class(device, machine=machine)
    with pytest.raises(ValueError, match="'mps' has no machine class"):
        machine_class("mps", machine=alike)


@pytest.mark.parametrize(
    ("quota", "most"), [("200000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None), ("x y", None)]
)
def test_a_control_group_can_leave_fewer_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, most: int | None
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    assert usable_cpus(_root(tmp_path, sys__fs__cgroup__cpu__max=quota)) == 8
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text(quota, "utf-8")
    assert usable_cpus(tmp_path) == (most or 8)


def test_systems_that_name_one_architecture_differently_mean_the_same() -> None:
    assert [architecture_of(name) for name in ("AMD64", "x86_64", "arm64", "aarch64", "riscv64")] == [
        "x86_64",
        "x86_64",
        "aarch64",
        "aarch64",
        "riscv64",
    ]


def test_profiles_and_machine_classes_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['psutil'] = None\n"
    code += "from amp_runtime.calibration import load_profile_for, machine_class; print(machine_class())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cpu-")
