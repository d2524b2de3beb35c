"""Bandwidth of memory: copy and triad, counted as STREAM counts, on arrays that no cache holds.

J. D. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance Computers", 1995, and the rules of the
STREAM benchmark: arrays of at least four times the last-level caches; bytes are those that the program asks for, so the
read that a write-allocate cache adds to each written line is not counted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from amp_runtime.calibration.formats import Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference, spread_out

_FACTOR = 3.0
_TIMES_CACHE = 4
_MOST_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    arrays: int
    flops: int
    counted: str
    run: Callable[..., torch.Tensor]


def _copy(source: torch.Tensor, into: torch.Tensor) -> torch.Tensor:
    return into.copy_(source)


def _triad(left: torch.Tensor, right: torch.Tensor, into: torch.Tensor) -> torch.Tensor:
    return torch.add(left, right, alpha=_FACTOR, out=into)


_KINDS = {
    "copy": _Kind(arrays=2, flops=0, counted="a = b: 1 read, 1 written", run=_copy),
    "triad": _Kind(arrays=3, flops=2, counted="a = b + q c: 2 read, 1 written, 2 FLOPs an element", run=_triad),
}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return both kinds; less memory is asked for where an eighth of what is free would not hold an array."""
    array_bytes = min(_TIMES_CACHE * scale.cache_bytes, _MOST_BYTES)
    if scale.free_bytes is not None:
        array_bytes = min(array_bytes, scale.free_bytes // 8)
    elements = max(array_bytes // torch.float32.itemsize, 1)
    return tuple(case(kind, elements, ("fp32",) if scale.quick else ("fp64", "fp32")) for kind in _KINDS)


def case(kind: str, elements: int, precisions: tuple[str, ...] = ("fp64", "fp32")) -> Case:
    """Return the case of `"copy"` or `"triad"` on arrays of that many elements."""
    known = _KINDS[kind]
    return Case(
        operation=f"memory_{kind}",
        name=f"{elements}",
        size=elements,
        flops=known.flops * elements,
        bytes_moved=lambda number_format: known.arrays * elements * number_format.dtype.itemsize,
        precisions=precisions,
        terms=1,
        prepare=functools.partial(_prepare, kind=known, elements=elements),
        counted=f"{known.counted}; as STREAM counts, without the read of write-allocate",
    )


def _prepare(number_format: Format, device: torch.device, kind: _Kind, elements: int) -> Prepared:
    sources = [filled((elements,), number_format, device, seed) for seed in range(kind.arrays - 1)]
    into = torch.zeros_like(sources[0])

    def sampled(result: torch.Tensor) -> Pair:
        some = spread_out(4096, elements).to(device)
        left, *rest = (reference(source[some]) for source in sources)
        return reference(result[some]), left + _FACTOR * rest[0] if rest else left

    return Prepared(call=lambda: kind.run(*sources, into), sampled=sampled)
