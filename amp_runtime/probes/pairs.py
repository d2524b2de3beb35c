"""Time a workload's steps in FP32 and under AMP against each other, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark.intervals import METHOD, ratio
from ..benchmark.pairing import Pairing, time_in_pairs
from ..wire import Paired, Rejected
from .factories import device_of, find_factory, precision_of, seed_generators, settle_on

if TYPE_CHECKING:
    from ..wire import WorkloadUnit
    from .child import Reporter

# Few, as this says that and how much, not whether it is enough: eight blocks have an interval of 96 %.
_PAIRING = Pairing(blocks=8, steps=1, lead_in=1, warm_up=2)


def time_pair(workload: WorkloadUnit, root: str, startup: frozenset[str], reporter: Reporter) -> None:
    """Report the times of both, as far as the workload keeps its contract; where it does not, its training says so."""
    factory, path, line = find_factory(workload, root, startup, reporter)
    if not callable(factory):
        reporter.item(Rejected(message=f"{workload.factory} cannot be called", path=path, line=line))
        return
    made = []
    for amp in (False, True):
        reporter.phase(f"building {workload.factory}(amp={amp}, seed={workload.seed})")
        seed_generators(workload.seed)
        made.append(factory(amp=amp, seed=workload.seed))
    fp32, low = made
    device = device_of(low)
    reporter.phase("steps in FP32 and under AMP, in turn")
    blocks = time_in_pairs(fp32.step, low.step, _PAIRING, settle_on(device))
    fp32_s, amp_s = tuple(block.first_s for block in blocks), tuple(block.second_s for block in blocks)
    found = ratio(fp32_s, amp_s)
    reporter.item(
        Paired(
            fp32_s=fp32_s,
            amp_s=amp_s,
            amp_led=tuple(block.second_led for block in blocks),
            ratio=found.value,
            low=found.low,
            high=found.high,
            confidence=found.confidence,
            method=f"{_PAIRING.blocks} blocks of FP32 and AMP in both orders after {_PAIRING.warm_up} steps; {METHOD}",
            device=device,
            precision=precision_of(low),
        )
    )
