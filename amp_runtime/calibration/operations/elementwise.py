"""Operations on each element by itself: addition, ReLU, GELU, multiply and add; in cache and beyond it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from amp_runtime.calibration.formats import FLOATING, Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference, spread_out

_IN_CACHE = 2**16
_MOST = 2**25


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    operands: int
    flops: int
    counted: str
    run: Callable[..., Any]


# Through `out=`, since else the time of a large result is that of the system finding fresh pages for it.
_KINDS = {
    "add": _Kind(operands=2, flops=1, counted="1 FLOP an element", run=torch.add),
    "relu": _Kind(
        operands=1,
        flops=1,
        counted="1 comparison an element",
        run=lambda x, **into: torch.clamp_min(x, 0, **into),  # what relu is, which itself takes no `out=`
    ),
    "gelu": _Kind(
        operands=1,
        flops=5,
        counted="x/2 (1 + erf(x/sqrt 2)) is 5 an element, erf as one",
        run=lambda x, **into: torch.ops.aten.gelu.out(x, **into) if into else torch.nn.functional.gelu(x),
    ),
    "mul_add": _Kind(operands=3, flops=2, counted="a + b c: 2 FLOPs an element", run=torch.addcmul),
}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return each kind with 65,536 elements (not in a quick run), and with so many that no cache holds the operands."""
    beyond = min(_MOST, scale.cache_bytes // 2)  # two bytes each at least, read and written: twice the cache
    sizes = (beyond,) if scale.quick else (_IN_CACHE, beyond)
    return tuple(case(kind, elements) for elements in sizes for kind in _KINDS)


def case(kind: str, elements: int) -> Case:
    """Return the case of one kind (`add`, `relu`, `gelu` or `mul_add`) on that many elements."""
    known = _KINDS[kind]
    return Case(
        operation=kind,
        name=f"{elements}",
        size=elements,
        flops=known.flops * elements,
        bytes_moved=lambda number_format: (known.operands + 1) * elements * number_format.dtype.itemsize,
        precisions=FLOATING,
        terms=1,
        prepare=functools.partial(_prepare, kind=known, elements=elements),
        counted=f"{known.counted}; bytes: {known.operands} read and 1 written",
    )


def _prepare(number_format: Format, device: torch.device, kind: _Kind, elements: int) -> Prepared:
    operands = [filled((elements,), number_format, device, seed) for seed in range(kind.operands)]
    into = torch.empty_like(operands[0])

    def sampled(result: torch.Tensor) -> Pair:
        some = spread_out(4096, elements).to(device)
        return reference(result[some]), kind.run(*(reference(operand[some]) for operand in operands))

    return Prepared(call=lambda: kind.run(*operands, out=into), sampled=sampled)
