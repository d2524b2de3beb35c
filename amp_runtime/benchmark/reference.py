"""A fixed piece of work that step times are told in: a slower clock or a busy machine changes both alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1  # of the work below: figures that were told in another are not comparable
_ROUNDS = 3


class ReferenceKernel:
    """Matrix products and a pass over memory, of fixed sizes, about as much of each as a training step has.

    Nothing that a program may set changes what it does: float64 on a CPU and float16 on an accelerator have no fast
    substitute as float32 has (TF32, bfloat16 inside oneDNN), autocast leaves it alone, and it draws from a generator of
    its own. It allocates nothing while it is timed, and writes where it wrote before.

    Interleave it with what is measured as one more program of each block: the ratio within a block is then the figure,
    and `per_stretch` says how many calls make a stretch that a clock can time.
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

    def per_stretch(self, least_s: float = 0.005, settle: Callable[[], object] = lambda: None) -> int:
        """Return how many calls take `least_s` seconds at least, by timing a few; warms it up as well."""
        self()
        settle()
        begin = time.perf_counter()
        for _ in range(3):
            self()
        settle()
        each = (time.perf_counter() - begin) / 3
        return max(1, min(1000, round(least_s / each + 0.5)))
