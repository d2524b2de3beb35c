"""Which formats a device computes in: each is run, and its numbers are held against FP64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from amp_runtime.calibration.formats import FORMATS, PRECISIONS, Format, multiplying_as
from amp_runtime.calibration.operations.contract import Pair, relative_error
from amp_runtime.calibration.operations.matmul import prepare
from amp_runtime.capability import DtypeSupport, capability_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What PyTorch raises for a format, an operation or memory that it lacks.
REFUSALS = (RuntimeError, TypeError, ValueError, NotImplementedError, AssertionError)
_SHAPE = (64, 96, 80)  # no square: a transposed operand would not go unnoticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Whether a format works on a device.

    Args:
        supported: it ran and its numbers were right, however slow it was.
        reason: one sentence: why not, or what was seen.
        native: the hardware computes in it; False with `supported` means emulated.
        relative_error: of a product against FP64, in the 2-norm; None where none came out.
        tolerance: what it may be at most, from the format's epsilon.
    """

    precision: str
    supported: bool
    reason: str
    native: bool = False
    relative_error: float | None = None
    tolerance: float | None = None


def detect(
    device: torch.device,
    precisions: Iterable[str] = PRECISIONS,
    *,
    multiply: Callable[[Format, torch.device], Pair] | None = None,
    support: Callable[[str, str], DtypeSupport] | None = None,
) -> dict[str, Detection]:
    """Try each format twice: as `amp_runtime.capability` does (rounding, gradients), then a product of normal numbers.

    Args:
        multiply: returns a product in the format, and the same in FP64.
        support: says of a torch device and one of `capability.DTYPES` whether it works and is native.

    Raises:
        ValueError: a precision that is not known.
    """
    wanted = tuple(precisions)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise ValueError(f"precision {unknown[0]!r} is not known; use some of {', '.join(PRECISIONS)}")
    return {name: _detect(FORMATS[name], device, multiply or _multiply, support or _support) for name in wanted}


def _detect(
    number_format: Format,
    device: torch.device,
    multiply: Callable[[Format, torch.device], Pair],
    support: Callable[[str, str], DtypeSupport],
) -> Detection:
    name = number_format.name
    known = support(str(device), number_format.known_as)
    if not known.works:
        return Detection(precision=name, supported=False, reason=known.reason)
    tolerance = number_format.tolerance(_SHAPE[1])
    try:
        error = relative_error(*multiply(number_format, device))
    except REFUSALS as problem:
        return Detection(precision=name, supported=False, reason=refusal(name, problem))
    if not error <= tolerance:
        reason = f"{name} ran but its numbers are wrong: a product is off by {error:.1e}, more than {tolerance:.1e}"
        return Detection(precision=name, supported=False, reason=reason, relative_error=error, tolerance=tolerance)
    return Detection(
        precision=name,
        supported=True,
        reason=known.reason,
        native=known.native,
        relative_error=error,
        tolerance=tolerance,
    )


def refusal(what: str, problem: BaseException) -> str:
    """Return one sentence for an exception: after its first, PyTorch lists every backend that has the operation."""
    said = (str(problem) or type(problem).__name__).strip().splitlines()[0].split(". ")[0]
    return f"{what} did not run: {said}"


def _support(torch_device: str, known_as: str) -> DtypeSupport:
    return capability_of(torch_device).dtypes[known_as]


def _multiply(number_format: Format, device: torch.device) -> Pair:
    with torch.inference_mode(), multiplying_as(number_format.name, device):
        prepared = prepare(number_format, device, *_SHAPE)
        return prepared.sampled(prepared.call())
