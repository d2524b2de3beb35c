"""Validate the model of a workload under torch.compile, in this process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..wire import Rejected
from .factories import find_factory, seed_generators

if TYPE_CHECKING:
    from typing import Any

    from ..wire import WorkloadUnit
    from .child import Reporter


def check_compiled(
    workload: WorkloadUnit, root: str, startup: frozenset[str], scratch: str, reporter: Reporter
) -> None:
    """Report whether the model that a step calls is right when it is compiled, in FP32 and in what it trains in."""
    # Read when the compiler is loaded: code goes where this process may write, and no workers outlive the probe.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(scratch, "compiled")
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    factory, path, line = find_factory(workload, root, startup, reporter)
    if not callable(factory):
        reporter.item(Rejected(message=f"{workload.factory} cannot be called", path=path, line=line))
        return
    if sys.modules.get("torch") is None:
        reporter.item(Rejected(message="torch is not loaded, so there is no model to compile", path=path, line=line))
        return
    from ..compile.workload import validate_workload  # noqa: PLC0415 - it needs torch

    def make(*, amp: bool, seed: int) -> Any:
        seed_generators(seed)
        return factory(amp=amp, seed=seed)

    reporter.phase(f"compiling the model of {workload.factory} and comparing it with float64")
    found = validate_workload(
        make,
        seed=workload.seed,
        passes=("train", "inference"),
        samples=workload.steps,
        input_gradients=False,
    )
    reporter.item(found)
