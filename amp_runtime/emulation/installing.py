"""Turns the emulation on for the rest of the process, once, and tries it before it is relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import cpu_autocast, cuda_module, guard, registering, torch_functions
from .classifying import classify
from .method_table import UnsupportedBuildError

if TYPE_CHECKING:
    import torch

_installed: list[Any] = []  # what must live as long as the process


def is_installed() -> bool:
    """Return whether `install` has run."""
    return bool(_installed)


def install() -> None:
    """Register the emulated device and CUDA's policy for the CPU; a second call does nothing.

    Raises:
        RuntimeError: this process sees a real CUDA device.
        UnsupportedBuildError: the installed PyTorch cannot carry the emulation.
    """
    import torch

    if _installed:
        return
    if torch.cuda.is_available():
        raise RuntimeError("this process sees a CUDA device, so nothing need be emulated; hide it: CUDA_VISIBLE_DEVICES=''")
    policies = classify("cuda"), classify("cpu")
    guard.claim_device()
    generator = torch.Generator()
    cuda_module.install(generator)
    torch_functions.install(generator)
    _installed.append(registering.register(generator))
    _installed.append(cpu_autocast.register(*policies))
    _try_it()


def _try_it() -> None:
    """Run one step under autocast on either device: a build that differs should fail here and not in a user's step."""
    import torch

    for device in ("cuda", "cpu"):
        weight = torch.ones(2, 2, device=device, requires_grad=True)
        with torch.autocast(device, dtype=torch.float16):
            product = weight @ weight
            total = product.sum()
        total.backward()  # type: ignore[no-untyped-call]
        gradient = weight.grad
        works = product.dtype == torch.float16 and total.dtype == torch.float32 and gradient is not None
        if not works or gradient is None or gradient.tolist() != [[4.0, 4.0], [4.0, 4.0]]:
            raise UnsupportedBuildError(f"CUDA cannot be emulated: PyTorch {torch.__version__} fails a product on {device}")
