"""The operations that are calibrated, by the names under which they can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amp_runtime.calibration.operations import attention, conv2d, elementwise, matmul, memory, normalisation

if TYPE_CHECKING:
    from amp_runtime.calibration.operations.contract import Case, Scale

# `memory` stands first: what runs later cannot be placed on a roofline without it.
FAMILIES = {
    "memory": memory.cases,
    "matmul": matmul.cases,
    "conv2d": conv2d.cases,
    "elementwise": elementwise.cases,
    "normalisation": normalisation.cases,
    "attention": attention.cases,
}
FUSION = "fusion"
OPERATIONS = (*FAMILIES, FUSION)


def cases_of(operations: tuple[str, ...], scale: Scale) -> tuple[Case, ...]:
    """Return the cases of the named families in the order of `OPERATIONS`."""
    return tuple(case for name, cases in FAMILIES.items() if name in operations for case in cases(scale))
