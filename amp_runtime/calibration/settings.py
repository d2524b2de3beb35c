"""The global state under which everything is measured, and how it gets back to what the caller had."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from amp_runtime import rng
from amp_runtime.calibration.formats import multiplying_as

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def calibration_settings(device: torch.device, threads: int | None = None) -> Iterator[None]:
    """Measure in inference mode, without autocast, TF32 and deterministic algorithms, with cuDNN choosing the fastest.

    Restored on exit, also after an exception: threads, switches of matrix products and convolutions, deterministic
    flags and every random generator.

    Args:
        threads: of PyTorch's operators; None leaves them as they are.
    """
    generators, before = rng.capture(), torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        with _free_choice_of_algorithms(), torch.inference_mode(), multiplying_as("fp32", device), _uncast(device):
            yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
        rng.restore(generators)


@contextlib.contextmanager
def _free_choice_of_algorithms() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    searched, held = cudnn.benchmark, cudnn.deterministic
    try:
        torch.use_deterministic_algorithms(False)
        cudnn.benchmark, cudnn.deterministic = True, False
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = searched, held
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warn)


def _uncast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
