"""A fixed piece of work that step times are told in: a slower clock or a busy machine changes both alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .deciding import Outcome
from .sequential import Plan, compare_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .intervals import Estimate
    from .sequential import Comparison

VERSION = 1  # of the work below: figures that were told in another are not comparable
_ROUNDS = 3


class ReferenceKernel:
    """Matrix products and a pass over memory, of fixed sizes, about as much of each as a training step has.

    Nothing that a program may set changes what it does: float64 on a CPU and float16 on an accelerator have no fast
    substitute as float32 has (TF32, bfloat16 inside oneDNN), autocast leaves it alone, and it draws from a generator of
    its own. It allocates nothing while it is timed, and writes where it wrote before.

    `beside_reference` interleaves it with what is measured.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        on_host = self.device.type in ("cpu", "mps")
        side, self._elements = (256, 1 << 19) if on_host else (2048, 1 << 24)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64 if on_host else torch.float16
        draw = torch.Generator(device="cpu").manual_seed(0)

        def made(*shape: int) -> torch.Tensor:
            values = torch.randn(*shape, generator=draw, dtype=torch.float32, device="cpu")
            return values.to(self.device, dtype)

        self._left, self._right, self._product = made(side, side), made(side, side), made(side, side)
        self._wide, self._copy = made(self._elements), made(self._elements)

    def __call__(self) -> None:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            for _ in range(_ROUNDS):
                torch.mm(self._left, self._right, out=self._product)
                torch.mul(self._wide, 0.5, out=self._copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrow:
    """Sampling ends when the interval is narrow: its end at most `within` of the estimate away, as a share."""

    within: float = 0.01

    def __call__(self, estimate: Estimate) -> Outcome:
        narrow = estimate.high <= estimate.value * (1 + self.within) and estimate.low >= estimate.value / (
            1 + self.within
        )
        return Outcome.PASS if narrow else Outcome.INCONCLUSIVE


def beside_reference(
    step: Callable[[], object],
    kernel: ReferenceKernel,
    plan: Plan | None = None,
    settle: Callable[[], object] = lambda: None,
    *,
    within: float = 0.01,
) -> Comparison:
    """Time a step against the reference, in pairs of random order: `ratio` is the step's time in reference calls.

    Whatever slows the machine for longer than a pair slows both, and leaves the ratio alone.

    Args:
        plan: default five seconds at most.
        within: how narrow the interval has to be for sampling to end before the budget does.
    """
    return compare_until(kernel, step, Narrow(within=within), plan or Plan(budget_s=5.0, error=0.05), settle)
