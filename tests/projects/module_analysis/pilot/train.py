"""Trains a policy."""

from __future__ import annotations

import torch

from pilot.utils.compilation_validator import safe_compile_model


def prepare(model: torch.nn.Module, sample: torch.Tensor, settings: object) -> torch.nn.Module:
    """Return the model, compiled where that works."""
    compiled, result = safe_compile_model(model, sample, settings)
    print(result)
    return compiled
