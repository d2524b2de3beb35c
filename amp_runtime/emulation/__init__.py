"""CUDA's autocast on a machine without CUDA: its tables, and a device on which unmodified training code meets them.

`python -m amp_runtime.emulation` prints the tables of the installed PyTorch. docs/emulation.md says how it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import AutocastPolicy

__all__ = ["emulate", "is_emulating", "limits", "policy"]


def emulate(device_type: str = "cuda") -> None:
    """Emulate one CUDA device for the rest of this process; it cannot be undone, so give it a process of its own.

    Afterwards `torch.cuda.is_available()` is True and tensors live on `cuda:0`, in the host's memory, computed by the
    CPU. What PyTorch does above its kernels is what it does for CUDA: autocast's table and cache, autograd, GradScaler,
    composite operators. Tensors on the CPU under `torch.autocast("cpu")` meet CUDA's table as well, with the dtype that
    the program asks for. Call it before project code is imported: names bound earlier are not replaced.

    Raises:
        ValueError: a device type other than `"cuda"`.
        RuntimeError: the process sees a real CUDA device.
        UnsupportedBuildError: the installed PyTorch cannot carry it (tested with 2.13).
    """
    if device_type != "cuda":
        raise ValueError(f"only 'cuda' can be emulated, not {device_type!r}")
    from .installing import install

    install()


def is_emulating() -> bool:
    """Return whether `emulate` has run in this process."""
    from .installing import is_installed

    return is_installed()


def policy(device_type: str = "cuda") -> AutocastPolicy:
    """Return what autocast does to each operator on `"cuda"` or `"cpu"`, as the installed PyTorch answers.

    No device is needed and nothing is changed. Asked once per process, before or after `emulate` alike.

    Raises:
        ValueError: another device type.
    """
    from .classifying import classify

    return classify(device_type)


def limits() -> tuple[str, ...]:
    """Return what a run under emulation cannot show, one sentence each."""
    from .bounds import LIMITS

    return LIMITS
