"""Tries a format on a device with one tiny product and checks every number of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from ..float32 import float32_products
from .model import FP8, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_TORCH_DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
    "fp8_e4m3fnuz": torch.float8_e4m3fnuz,
    "fp8_e5m2fnuz": torch.float8_e5m2fnuz,
}
# GPUs multiply a gradient in e5m2 with a weight or an activation in e4m3, never e5m2 with e5m2.
_FP8_PARTNER = {"fp8_e5m2": "fp8_e4m3fn", "fp8_e5m2fnuz": "fp8_e4m3fnuz"}
# Relative error of a 64x64 product of normal numbers that are kept to so many bits, and the next coarser format's.
_ERROR_BELOW = {"fp64": 1e-12, "fp32": 1e-5}
_TF32_ERROR = (1e-4, 1.5e-3)


def probe(torch_device: str, name: str) -> Probe:
    """Multiply two small matrices in a format of `DTYPES`, forward and, in trainable formats, backward.

    The entries are small integers, so every format holds the products exactly; one more sum falls between two numbers
    of the format and must be rounded as the format says, which unmasks a device that computes in another. Formats of
    32 bits and more are also held to their accuracy on random numbers. The modes of the caller (autocast, no_grad,
    inference mode, TF32) neither reach the probe nor change.
    """
    try:
        with _undisturbed(torch_device):
            return _probe_one(torch_device, name)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:  # what PyTorch raises for what it lacks
        return Probe(works=False, detail=f"{name} failed on {torch_device}: {_first_sentence(error)}")


def _first_sentence(error: Exception) -> str:
    # After it PyTorch lists every backend that has the operation.
    return (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]


@contextlib.contextmanager
def _undisturbed(torch_device: str) -> Iterator[None]:
    kind = torch.device(torch_device).type
    with torch.inference_mode(False), torch.enable_grad(), float32_products("highest"):
        if torch.amp.is_autocast_available(kind):
            with torch.autocast(kind, enabled=False):
                yield
        else:
            yield


def _probe_one(torch_device: str, name: str) -> Probe:
    if name == "tf32":
        return _probe_tf32(torch_device)
    if name == "int8":
        return _probe_int8(torch_device)
    if name in FP8:
        return _probe_fp8(torch_device, name)
    return _probe_trainable(torch_device, name)


def _probe_trainable(torch_device: str, name: str) -> Probe:
    dtype = _TORCH_DTYPES[name]
    left, right = _integers()
    # First the format, then the device: some cannot even be sent a float64.
    a, b = left.to(dtype).to(torch_device).requires_grad_(), right.to(dtype).to(torch_device)
    product = a @ b
    (gradient,) = torch.autograd.grad(product.sum(), a)
    if product.dtype != dtype or not _equal(product, left @ right):
        return Probe(works=False, detail=f"a product of small integers in {dtype} came out wrong")
    if not _equal(gradient, right.sum(1).expand_as(left)):
        return Probe(works=False, detail=f"the gradient of a product in {dtype} came out wrong")
    one, half_step = torch.tensor([1.0, torch.finfo(dtype).eps / 2], dtype=dtype, device=torch_device)
    if not bool((one + half_step == one).item()) or not bool((one + 2 * half_step > one).item()):
        return Probe(works=False, detail=f"{dtype} does not round as its format says")
    if name in _ERROR_BELOW and (error := _random_product_error(torch_device, dtype)) > _ERROR_BELOW[name]:
        return Probe(works=False, detail=f"a random product in {dtype} is off by {error:.1e}, too much for the format")
    return Probe(works=True, detail="products, gradients and rounding are right")


def _probe_tf32(torch_device: str) -> Probe:
    """Check that a product is right to 10 bits and, being TF32, not to float32's 23 or the 16 of two bfloat16 parts."""
    with float32_products("high"):
        error = _random_product_error(torch_device, torch.float32)
    smallest, largest = _TF32_ERROR
    if error > largest:
        return Probe(works=False, detail=f"a TF32 product is off by {error:.1e}")
    if error < smallest:
        return Probe(works=False, detail="products stayed more exact than TF32 is, although it was allowed")
    return Probe(works=True, detail=f"relative error {error:.1e}, as 10 bits of mantissa give")


def _probe_fp8(torch_device: str, name: str) -> Probe:
    """Multiply as fp8 training does, with a scale for each tensor and a result in bfloat16; there is no autograd."""
    dtype, partner = _TORCH_DTYPES[name], _TORCH_DTYPES[_FP8_PARTNER.get(name, name)]
    left, right = _integers()
    a, b = left.to(dtype).to(torch_device), right.t().contiguous().to(partner).to(torch_device).t()
    two, half = (torch.tensor(scale, dtype=torch.float32, device=torch_device) for scale in (2.0, 0.5))
    product = torch._scaled_mm(a, b, scale_a=two, scale_b=half, out_dtype=torch.bfloat16)
    if isinstance(product, tuple):  # before PyTorch 2.5 it also returned the largest value
        product = product[0]
    if not _equal(product, left @ right):
        return Probe(works=False, detail=f"a scaled product of small integers in {dtype} came out wrong")
    step = torch.finfo(dtype).eps
    ties = torch.tensor([1 + step / 2, 1 + 3 * step / 2], dtype=torch.float32, device=torch_device)
    if ties.to(dtype).float().tolist() != [1.0, 1 + 2 * step]:  # each goes to its even neighbour
        return Probe(works=False, detail=f"{dtype} does not round as its format says")
    return Probe(works=True, detail="scaled products and rounding are right")


def _probe_int8(torch_device: str) -> Probe:
    """Multiply into int32 sums that fit neither int8 nor int16."""
    entries = torch.arange(1024, device="cpu")
    left, right = ((entries * 37) % 255 - 127).reshape(32, 32), ((entries * 91) % 255 - 127).reshape(32, 32)
    product = torch._int_mm(left.to(torch.int8).to(torch_device), right.to(torch.int8).to(torch_device))
    if product.dtype != torch.int32 or not torch.equal(product.cpu().long(), left @ right):
        return Probe(works=False, detail="a product of int8 matrices came out wrong")
    return Probe(works=True, detail="products are right to the last unit of int32")


def _random_product_error(torch_device: str, dtype: torch.dtype) -> float:
    generator = torch.Generator("cpu").manual_seed(0)
    normal = torch.randn(2, 64, 64, generator=generator, dtype=torch.float64, device="cpu")
    left, right = normal.to(dtype)
    wanted = left.double() @ right.double()
    got = (left.to(torch_device) @ right.to(torch_device)).cpu().double()
    return float(((got - wanted).norm() / wanted.norm()).item())


def _equal(got: Tensor, wanted: Tensor) -> bool:
    return torch.equal(got.detach().cpu().double(), wanted)


def _integers() -> tuple[Tensor, Tensor]:
    """Return two 32x32 float64 CPU matrices of integers from -2 to 2; sums stay below 2**8, exact in bfloat16."""
    entries = torch.arange(1024, device="cpu")
    left, right = (entries * 7) % 5 - 2, (entries * 11) % 5 - 2
    return left.reshape(32, 32).double(), right.reshape(32, 32).double()
