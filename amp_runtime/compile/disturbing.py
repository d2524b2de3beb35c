"""The same sample and model again and again, each time moved by as much as rounding would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .running import autocast_dtype

if TYPE_CHECKING:
    from .trees import Sample


def roundoff_of(precision: str, device: torch.device) -> float:
    """Return the unit roundoff of what matrix products are computed in. TF32 and its like count as what they are."""
    if precision == "fp32" and device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32:
        return 2.0**-11
    return float(torch.finfo(autocast_dtype(precision)).eps) / 2


class Disturbance:
    """Moves floating inputs and parameters by up to two units of roundoff, relative to each number.

    Rounding errors then fall differently every time, while the result hardly changes (Monte Carlo arithmetic: D. S.
    Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997). Number 0 is the sample itself.
    """

    def __init__(self, model: torch.nn.Module, sample: Sample, roundoff: float, seed: int) -> None:
        self._parameters = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
        self._sample = sample
        self._roundoff = roundoff
        self._seed = seed

    def at(self, number: int) -> Sample:
        """Set the parameters of disturbance `number`, and return its sample."""
        generator = torch.Generator().manual_seed(7919 * self._seed + number)

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            if number == 0 or not tensor.is_floating_point():
                return tensor
            noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.device)
            disturbed = tensor.detach().double() * (1 + 2 * self._roundoff * (2 * noise - 1))
            return disturbed.to(tensor.dtype).requires_grad_(tensor.requires_grad)

        with torch.no_grad():
            for parameter, held in self._parameters:
                parameter.copy_(moved(held))
        return self._sample.changed(moved)
