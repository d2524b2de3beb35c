"""Which micro-batches make one optimizer step, and what share of its gradient each one contributes. No torch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Batch = TypeVar("Batch")


def windows(batches: Iterable[Batch], size: int) -> Iterator[tuple[Batch, ...]]:
    """Yield groups of `size` micro-batches, one group per optimizer step; the last may be shorter, never empty.

    Raises:
        ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError(f"a step needs at least one micro-batch, not {size}")
    stream = iter(batches)
    while window := tuple(islice(stream, size)):
        yield window


def shares(sizes: Sequence[float]) -> tuple[float, ...]:
    """Return each micro-batch's share of the step, in proportion to its size; they sum to 1.

    With mean losses this makes the accumulated gradient that of one big batch, also when the last micro-batch is
    smaller or token counts differ. Dividing by the number of micro-batches is right only for equal sizes.

    Raises:
        ValueError: no sizes, a negative one, or all zero.
    """
    total = sum(sizes)
    if not sizes or min(sizes) < 0 or not total > 0:
        raise ValueError(f"micro-batch sizes must be at least 0 and not all 0, not {list(sizes)}")
    return tuple(size / total for size in sizes)
