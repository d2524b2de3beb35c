"""What the calibrator has to know of an operation at one size: how it is called, counted and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

if TYPE_CHECKING:
    from amp_runtime.calibration.formats import Format

Pair: TypeAlias = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An operation on operands that lie on the device.

    Args:
        call: runs it once and returns its result.
        sampled: takes a result and returns some of its numbers, and beside them the same computed in FP64 on the CPU
            from the same rounded operands.
    """

    call: Callable[[], torch.Tensor]
    sampled: Callable[[torch.Tensor], Pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An operation at one size.

    Args:
        operation: such as `"matmul"`.
        name: the shape, for people.
        size: one number for the shape: the side of a square, else the number of elements.
        flops: of one call; `counted` says by which rule.
        bytes_moved: of one call in a format: every operand read once and every result written once.
        precisions: the formats that PyTorch defines the operation for.
        terms: in the longest sum behind one number of the result, which says how far rounding may take it.
        counted: the rule for FLOPs and bytes, in words.
    """

    operation: str
    name: str
    size: int
    flops: int
    bytes_moved: Callable[[Format], int]
    precisions: tuple[str, ...]
    terms: int
    prepare: Callable[[Format, torch.device], Prepared]
    counted: str

    @property
    def label(self) -> str:
        return f"{self.operation} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the cases of an operation are to be: a GPU is filled by more work, a quick run needs fewer sizes.

    Args:
        on_gpu: for any device that is not a CPU.
        quick: few sizes.
        cache_bytes: of the last-level caches.
        free_bytes: of memory; None where that is not known.
    """

    on_gpu: bool
    quick: bool
    cache_bytes: int
    free_bytes: int | None = None


def reference(tensor: torch.Tensor) -> torch.Tensor:
    """Return the numbers in FP64 on the CPU (first the device, then the format: some devices have no FP64)."""
    return tensor.detach().cpu().double()


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the 2-norm of the difference over that of `wanted`; infinite where a number is not finite."""
    got, wanted = reference(got), reference(wanted)
    if not bool(torch.isfinite(got).all()):
        return float("inf")
    norm = float(wanted.norm())
    return float((got - wanted).norm()) / norm if norm else float((got - wanted).norm())


def spread_out(count: int, of: int) -> torch.Tensor:
    """Return up to `count` indices from 0 to `of` - 1, evenly spread, both ends among them."""
    return torch.linspace(0, of - 1, min(count, of), dtype=torch.float64).round().long()
