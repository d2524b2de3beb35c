"""`python -m amp_runtime`: what this machine computes in, and two small models trained in FP32 and under AMP on it."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from amp_runtime.capability import capability_of
from amp_runtime.workloads import char_lm, encoder_fp16
from amp_runtime.workloads.contract import workload_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amp_runtime.workloads.contract import PacedWorkload

_SHOWN = {"character model": char_lm, "encoder of paragraphs": encoder_fp16}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the capability of the device, then train each model twice from the same seed; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m amp_runtime", description=__doc__)
    parser.add_argument("--steps", type=int, default=30, help="of each run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, not {options.steps}")
    print(capability_of(workload_device()).as_text())
    for title, factory in _SHOWN.items():
        print(f"\n{title}, {options.steps} steps")
        for amp in (False, True):
            print(f"  {_train(factory, amp=amp, steps=options.steps, seed=options.seed)}", flush=True)
    print("\nOne run each, one after the other: a look, not a measurement. amp_runtime.benchmark measures.")
    return 0


def _train(factory: Callable[..., PacedWorkload[Any]], *, amp: bool, steps: int, seed: int) -> str:
    workload = factory(amp=amp, seed=seed)
    started = time.perf_counter()
    losses = [workload.step() for _ in range(steps)]  # reading a loss waits for the device
    milliseconds = (time.perf_counter() - started) / steps * 1e3
    measured = ", ".join(f"{name} {value:.4g}" for name, value in workload.evaluate().items())
    scaler = workload.training_step.policy.scaler
    scaling = f"; loss scale {scaler.current_scale:g}, {scaler.skipped_steps} skipped" if scaler else ""
    return (
        f"{workload.precision}  loss {losses[0]:.3f} to {losses[-1]:.3f}, {milliseconds:.1f} ms per step; "
        f"validation {measured}{scaling}"
    )


if __name__ == "__main__":
    sys.exit(main())
