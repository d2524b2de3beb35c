"""Evaluation that leaves a model as it was: every submodule's train or eval mode, and no gradients."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def restored_modes(model: torch.nn.Module) -> Iterator[None]:
    """Give every submodule its own mode back on exit, also after an exception.

    `model.train()` would not do: it wakes up layers that were frozen in eval mode on purpose, BatchNorm for one.
    """
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Run the body in eval mode and without gradients."""
    with restored_modes(model), torch.no_grad():
        model.eval()
        yield
