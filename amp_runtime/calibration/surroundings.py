"""What surrounds a measurement: threads, caches, other programs, and the clock as the system states it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_PROC_BIND", "KMP_AFFINITY")
_CACHES = Path("/sys/devices/system/cpu")
_UNKNOWN_CACHE_BYTES = 64 * 2**20
BUSY_SHARE = 0.05  # of the machine's cores; more than that in other hands, and figures are too low


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """With how many threads and where the operators ran.

    Args:
        torch: of one operator.
        interop: operators at a time.
        environment: of `OMP_NUM_THREADS` and its kin, those that are set.
        affinity: the processors this process may use; None where the system does not say.
    """

    torch: int
    interop: int
    environment: dict[str, str]
    affinity: tuple[int, ...] | None


def thread_settings() -> Threads:
    """Read the settings in force now."""
    may_run_on = getattr(os, "sched_getaffinity", None)
    return Threads(
        torch=torch.get_num_threads(),
        interop=torch.get_num_interop_threads(),
        environment={name: os.environ[name] for name in _VARIABLES if name in os.environ},
        affinity=None if may_run_on is None else tuple(sorted(may_run_on(0))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherLoad:
    """How many processors other programs kept busy meanwhile; None where nothing here can tell.

    Args:
        of: how many there are.
        stolen: processors that the host of a virtual machine took for others; None where nothing tells.
    """

    processors: float | None
    of: int
    source: str
    stolen: float | None = None

    @property
    def is_busy(self) -> bool:
        return self.processors is not None and self.processors > BUSY_SHARE * self.of


class LoadMeter:
    """Measures other programs' load from its making to `read`: time all processors were busy, less our own.

    Without psutil it is the load average of the last minute when it was made, which still counts this process.
    """

    def __init__(self) -> None:
        self._begin = self._state()
        self._average = _load_average()

    def read(self) -> OtherLoad:
        """Return the load since the meter was made."""
        cores, end = os.cpu_count() or 1, self._state()
        if self._begin is None or end is None:
            source = "load average of the minute before; psutil would tell more"
            if self._average is None:
                source = "neither psutil nor a load average here"
            return OtherLoad(processors=self._average, of=cores, source=source)
        passed, busy, own, stolen = (after - before for after, before in zip(end, self._begin, strict=True))
        passed = max(passed, 1e-9)
        return OtherLoad(
            processors=max(0.0, (busy - own - stolen) / passed),
            of=cores,
            source="psutil.cpu_times less this process",
            stolen=stolen / passed,
        )

    @staticmethod
    def _state() -> tuple[float, float, float, float] | None:
        try:
            import psutil  # noqa: PLC0415 - optional: a machine without it is calibrated all the same
        except ImportError:
            return None
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted in user and nice already
        own = os.times()
        busy = sum(times) - idle - guests
        return time.perf_counter(), busy, own.user + own.system, getattr(times, "steal", 0.0)


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def last_level_cache_bytes(device: torch.device, caches: Path = _CACHES) -> int:
    """Return the size of all last-level caches together (a GPU's L2), 64 MiB where the system does not tell."""
    if device.type == "cuda":
        return int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0)) or _UNKNOWN_CACHE_BYTES
    found: dict[str, tuple[int, int]] = {}
    for index in caches.glob("cpu[0-9]*/cache/index*"):
        try:
            level = int((index / "level").read_text())
            shared = (index / "shared_cpu_list").read_text().strip()
            size = _bytes((index / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        found[shared] = max(found.get(shared, (0, 0)), (level, size))
    last = max((level for level, _ in found.values()), default=0)
    return sum(size for level, size in found.values() if level == last) or _UNKNOWN_CACHE_BYTES


def _bytes(text: str) -> int:
    factor = {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1:], 1)
    return int(text.rstrip("KMG")) * factor


def free_memory_bytes(device: torch.device) -> int | None:
    """Return what can still be had on the device; None where nothing tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Clock and temperature as the system states them at one moment; None where it does not, as in most VMs."""

    clock_mhz: float | None
    temperature_c: float | None


def condition_of(device: torch.device, system: Path = Path("/sys")) -> Condition:
    """Read the mean clock of the processors and the hottest thermal zone, or a GPU's through its management library."""
    if device.type == "cuda":
        # Both need NVIDIA's or AMD's management library, which raises each its own errors where it is not there.
        return Condition(
            clock_mhz=_if_told(lambda: torch.cuda.clock_rate(device)),
            temperature_c=_if_told(lambda: torch.cuda.temperature(device)),
        )
    if device.type != "cpu":
        return Condition(clock_mhz=None, temperature_c=None)
    clocks = _numbers(system / "devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_cur_freq")
    zones = _numbers(system / "class/thermal", "thermal_zone*/temp")
    return Condition(
        clock_mhz=sum(clocks) / len(clocks) if clocks else None, temperature_c=max(zones) if zones else None
    )


def _if_told(ask: Callable[[], float]) -> float | None:
    try:
        return float(ask())
    except Exception:  # a reading that only explains must not end a calibration
        return None


def _numbers(folder: Path, pattern: str) -> list[float]:
    """Return the numbers that stand in files, in thousandths as the kernel writes them."""
    found = []
    for path in folder.glob(pattern):
        try:
            found.append(int(path.read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return found
