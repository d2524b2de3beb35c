"""What a child process may use, and what it is told: limits, and an environment without the parent's secrets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIME_S = 600.0
DEFAULT_FLOOD_BYTES = 256 << 20
MEMORY_SHARE = 0.8

_PASSED = frozenset({"PATH", "USER", "LOGNAME", "SHELL", "CI", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
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
    """Hard limits of one probe: wall clock for all of it and for one phase, memory of the whole tree, output."""

    time_s: float
    phase_s: float
    memory_bytes: int
    flood_bytes: int = DEFAULT_FLOOD_BYTES


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


def clean_environment(parent: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the child's environment: what is known to be harmless and needed, not what the parent happens to hold."""
    kept = {
        name: value
        for name, value in parent.items()
        if (name in _PASSED or name.startswith(_PASSED_FAMILIES)) and not _SECRET.search(name)
    }
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
