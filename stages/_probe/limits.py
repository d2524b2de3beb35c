"""What a child process may use, and what it is told: limits, and an environment without the parent's secrets."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.wire import Cage
from verifier.api import is_reserved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amp_runtime.wire import Witness
    from stages._probe.isolation import Isolation

DEFAULT_TIME_S = 600.0
DEFAULT_FLOOD_BYTES = 256 << 20
DEFAULT_PROCESSES = 1024
MEMORY_SHARE = 0.8

_CPU_SLACK_S = 30
_LEAST_FILE_BYTES = 1 << 30
_OPEN_FILES = 65536
_THREADS_EACH = 8

_PASSED = frozenset({"PATH", "USER", "LOGNAME", "SHELL", "CI", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
# What a launcher such as torchrun tells a worker; without it a script written for one cannot be run by itself.
_OF_A_LAUNCHER = frozenset(
    {"RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
)
_PASSED_FAMILIES = (
    "CUDA_", "NVIDIA_", "CUBLAS_", "CUDNN_", "NCCL_", "HIP_", "ROCR_", "HSA_", "OMP_", "MKL_", "KMP_", "GOMP_",
    "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "TORCH_", "PYTORCH_", "TORCHINDUCTOR_", "GLOO_", "XLA_", "TRITON_",
)  # fmt: skip
# Idle compute threads sleep instead of spinning. Where other work shares the cores, as in CI, spinning made a small
# training run twelve times slower (1.4 s against 16 s and more on two busy cores); alone it costs nothing visible.
_PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
_SECRET = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|AUTH|(^|_)KEY", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits of one probe: wall clock for all of it and for one phase, memory and size of the whole tree, output.

    One process may use as many processor seconds as all cores have in the time, and write files as large as the memory.
    """

    time_s: float
    phase_s: float
    memory_bytes: int
    flood_bytes: int = DEFAULT_FLOOD_BYTES
    processes: int = DEFAULT_PROCESSES


def default_memory_bytes() -> int:
    """Return 80 % of the memory this machine, or the control group we run in, has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(place).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            physical = min(physical, int(text))
    return int(physical * MEMORY_SHARE)


def cage(isolation: Isolation, limits: Limits, writable: tuple[str, ...], witness: Witness) -> Cage:
    """Return what the harness is to shut itself into."""
    cores = os.cpu_count() or 1
    return Cage(
        landlock=isolation.uses("landlock"),
        namespaces=isolation.uses("namespaces"),
        network=isolation.network,
        writable=writable,
        cpu_s=math.ceil(limits.time_s + _CPU_SLACK_S) * cores,
        file_bytes=max(limits.memory_bytes, _LEAST_FILE_BYTES),
        open_files=_OPEN_FILES,
        processes=limits.processes * _THREADS_EACH,
        witness=witness,
    )


def clean_environment(parent: Mapping[str, str], scratch: Path, asked: Sequence[str] = ()) -> dict[str, str]:
    """Return the child's environment: what is known to be harmless and needed, not what the parent happens to hold.

    Args:
        asked: names that the configuration hands down (`pass-env`), whatever they are called.
    """
    kept = {
        name: value
        for name, value in parent.items()
        if (name in _PASSED or name in _OF_A_LAUNCHER or name.startswith(_PASSED_FAMILIES)) and not _SECRET.search(name)
    }
    kept |= {name: parent[name] for name in asked if name in parent and not is_reserved(name)}
    return (
        _PATIENT_THREADS
        | kept
        | {
            "HOME": str(scratch / "home"),
            "TMPDIR": str(scratch / "tmp"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )
