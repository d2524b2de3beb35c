"""Turns the emulation on for the rest of the process, once, and tries it before it is relied on."""

from __future__ import annotations

import torch

from . import cpu_autocast, cuda_module, guard, legacy_types, registering, torch_functions
from .classifying import policy
from .method_table import UnsupportedBuildError
from .state import is_emulating, keep


def emulate(device_type: str = "cuda") -> None:
    """Emulate one CUDA device for the rest of this process; it cannot be undone, so give it a process of its own.

    Afterwards `torch.cuda.is_available()` is True and tensors live on `cuda:0`, in the host's memory, computed by the
    CPU. What PyTorch does above its kernels is what it does for CUDA: autocast's table and cache, autograd, GradScaler,
    composite operators. Tensors on the CPU under `torch.autocast("cpu")` meet CUDA's table as well, with the dtype that
    the program asks for. Call it before project code is imported, for names bound earlier are not replaced, and after
    a fork, not before: autograd's threads do not survive one. A second call does nothing.

    Raises:
        ValueError: a device type other than `"cuda"`.
        RuntimeError: this process sees a real CUDA device.
        UnsupportedBuildError: the installed PyTorch cannot carry the emulation (tested with 2.13).
    """
    if device_type != "cuda":
        raise ValueError(f"only 'cuda' can be emulated, not {device_type!r}")
    if is_emulating():
        return
    if torch.cuda.is_available():
        raise RuntimeError(
            "this process sees a CUDA device, so nothing need be emulated; to do it all the same, hide the device: "
            "CUDA_VISIBLE_DEVICES=''"
        )
    policies = policy("cuda"), policy("cpu")
    guard.claim_device()
    generator = torch.Generator()
    cuda_module.install(generator)
    torch_functions.install()
    legacy_types.install()
    keep(registering.register(generator))
    keep(cpu_autocast.register(*policies))
    _try_it()


def _try_it() -> None:
    """Run one step under autocast on either device: a build that differs should fail here and not in a user's step."""
    for device in ("cuda", "cpu"):
        weight = torch.ones(2, 2, device=device, requires_grad=True)
        with torch.autocast(device, dtype=torch.float16):
            product = weight @ weight
            total = product.sum()
        total.backward()  # type: ignore[no-untyped-call]
        gradient = weight.grad
        works = product.dtype == torch.float16 and total.dtype == torch.float32 and gradient is not None
        if not works or gradient is None or gradient.tolist() != [[4.0, 4.0], [4.0, 4.0]]:
            raise UnsupportedBuildError(
                f"CUDA cannot be emulated: PyTorch {torch.__version__} fails a product on {device}"
            )
