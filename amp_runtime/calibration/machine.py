"""Decides what is said of this machine, and the key under which its profiles and baselines are found. No torch.

Everything comes from files of the system and from `nvidia-smi`; what they do not tell stays unknown. psutil is not
needed.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ASK_S = 10.0
_SMI = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
# What systems call one and the same architecture, by the name of Linux.
_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as its system describes it: plain data, so that tests invent any.

    Args:
        architecture: as Linux names it: `"x86_64"`, `"aarch64"`.
        cpu_model: for people; virtual machines often hide the number of the model.
        cpu_id: vendor, family and model as the processor itself tells them, `"AuthenticAMD/25/1"`; empty if unknown.
        cpu_flags: features in the spelling of Linux.
        cpus: logical processors that this process may use.
        cores: of them, as far as the system tells threads of one core apart; virtual machines often do not.
        sockets: with processors of this machine.
        max_clock_ghz: the highest of any processor; None where the system does not state it.
        board: what the firmware calls an embedded board, such as a Jetson.
        cuda_devices: names of the NVIDIA GPUs this process may use; None where that cannot be asked.
    """

    architecture: str
    system: str = "Linux"
    cpu_model: str = ""
    cpu_id: str = ""
    cpu_flags: frozenset[str] = frozenset()
    cpus: int = 1
    cores: int = 1
    sockets: int = 1
    max_clock_ghz: float | None = None
    memory_gb: float | None = None
    board: str = ""
    cuda_devices: tuple[str, ...] | None = None
    driver_version: str | None = None


@functools.cache
def this_machine() -> Machine:
    """Describe this machine; asked once in a process."""
    return describe_machine()


def describe_machine(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> Machine:
    """Describe the machine whose `/proc` and `/sys` stand in `root`."""
    environment = os.environ if environment is None else environment
    listed = _text(root / "proc/cpuinfo")
    cpu = _first_processor(listed)
    cpus, packages = usable_cpus(root), _packages(listed)
    board = _text(root / "proc/device-tree/model").rstrip("\0").strip()
    gpus, driver = _nvidia(environment, board)
    return Machine(
        architecture=architecture_of(platform.machine()),
        system=platform.system(),
        cpu_model=cpu.get("model name") or cpu.get("Model") or platform.processor() or platform.machine(),
        cpu_id=_cpu_id(cpu),
        cpu_flags=frozenset((cpu.get("flags") or cpu.get("Features") or "").split()),
        cpus=cpus,
        cores=min(cpus, len(packages)) or cpus,
        sockets=len({package for package, _ in packages}) or 1,
        max_clock_ghz=_max_clock_ghz(root / "sys/devices/system/cpu"),
        memory_gb=_memory_gb(root / "proc/meminfo"),
        board=board,
        cuda_devices=gpus,
        driver_version=driver,
    )


def machine_class(device: str = "cpu", *, machine: Machine | None = None, device_name: str | None = None) -> str:
    """Return the key of this machine's profiles and baselines for a device: the same hardware, the same key.

    A CPU's names architecture, model and the number of processors that may be used; a GPU's only the GPU.

    Args:
        device: `"cpu"`, `"cuda"` or `"cuda:1"`.
        device_name: of a GPU as PyTorch calls it, where that is known better than here.

    Raises:
        ValueError: another kind of device, or a GPU that nothing here can name.
    """
    machine = machine or this_machine()
    kind, _, number = device.partition(":")
    if kind == "cpu":
        family = "-".join(machine.cpu_id.split("/")[1:])
        return _slug("cpu", machine.architecture, machine.cpu_model, family, f"{machine.cpus}t")
    if kind != "cuda":
        raise ValueError(f"{device!r} has no machine class; calibrated are cpu and cuda")
    name = device_name or cuda_name(machine, int(number or 0))
    if name is None:
        raise ValueError(f"nothing here tells the name of {device}; nvidia-smi would, or give device_name")
    return _slug("cuda", name)


def cuda_name(machine: Machine, number: int = 0) -> str | None:
    """Return the name of a GPU by CUDA's number; None where there is none, or where numbers cannot be told apart.

    CUDA puts the fastest first and nvidia-smi the lowest address, so GPUs of several kinds have no certain number.
    """
    names = machine.cuda_devices or ()
    if number >= len(names):
        return None
    return names[0] if len(set(names)) == 1 else None


def usable_cpus(root: Path = Path("/")) -> int:
    """Return how many logical processors this process may use: its affinity, and its control group's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        allowed = min(allowed, max(1, round(int(quota) / int(period))))
    return allowed


def architecture_of(name: str) -> str:
    """Return Linux's name for what a system calls its architecture."""
    return _ARCHITECTURES.get(name.lower(), name.lower())


def _slug(*parts: str) -> str:
    words = re.sub(r"\((?:r|tm)\)|@.*?ghz", " ", " ".join(parts).lower())
    return "-".join(re.findall(r"[a-z0-9_.]+", words))[:120]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _first_processor(listed: str) -> dict[str, str]:
    """Return what the system lists of its first processor; Arm boards name the whole at the end of the list."""
    known: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition(":")
        known.setdefault(key.strip(), value.strip())
    return known


def _cpu_id(cpu: Mapping[str, str]) -> str:
    keys = ("vendor_id", "cpu family", "model")
    if not all(cpu.get(key) for key in keys):
        keys = ("CPU implementer", "CPU architecture", "CPU part")
    return "/".join(cpu[key] for key in keys) if all(cpu.get(key) for key in keys) else ""


def _packages(listed: str) -> set[tuple[str, str]]:
    """Return every core as its package and its number in it; empty where the list does not tell."""
    found, package = set(), ""
    for line in listed.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "physical id":
            package = value.strip()
        elif key.strip() == "core id":
            found.add((package, value.strip()))
    return found


def _max_clock_ghz(processors: Path) -> float | None:
    clocks = [_text(path).strip() for path in processors.glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")]
    return max((int(clock) / 1e6 for clock in clocks if clock.isdigit()), default=None)


def _memory_gb(path: Path) -> float | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(path), re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e9, 1) if found else None


def _nvidia(environment: Mapping[str, str], board: str) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the names of the GPUs that may be used, and the driver; None where nothing can be asked."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return (), None
    try:
        done = subprocess.run(_SMI, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return (("Orin",) if "orin" in board.lower() else None), None  # Jetsons have no nvidia-smi of their own
    rows = [line.rsplit(",", 1) for line in done.stdout.splitlines() if "," in line]
    if done.returncode or not rows:
        return (), None
    return _visible([name.strip() for name, _ in rows], visible), rows[0][1].strip()


def _visible(names: Sequence[str], visible: str | None) -> tuple[str, ...]:
    """Return what CUDA_VISIBLE_DEVICES leaves; where it names GPUs by identifier, only how many is sure."""
    if visible is None:
        return tuple(names)
    wanted = [part.strip() for part in visible.split(",")]
    if not all(part.isdigit() for part in wanted):
        return tuple(names[: len(wanted)]) if len(set(names)) == 1 else tuple(names)
    return tuple(names[int(part)] for part in wanted if int(part) < len(names))
