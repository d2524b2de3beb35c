"""Convolutions of two shapes that residual networks are made of: 3x3 and 1x1."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from amp_runtime.calibration.formats import WITH_PRODUCTS, Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference

_COUNTED = "2 N Cout Hout Wout Cin Kh Kw FLOPs, padding included; bytes: input, weight and output once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with stride 1 that keeps the height and width of its images."""

    images: int
    channels: int
    filters: int
    side: int
    kernel: int

    @property
    def flops(self) -> int:
        return 2 * self.images * self.filters * self.side**2 * self.channels * self.kernel**2

    @property
    def numbers_moved(self) -> int:
        pictures = self.images * self.side**2 * (self.channels + self.filters)
        return pictures + self.filters * self.channels * self.kernel**2

    @property
    def name(self) -> str:
        shape = f"{self.images}x{self.channels}x{self.side}x{self.side}"
        return f"{shape} to {self.filters}, {self.kernel}x{self.kernel}"

    def run(self, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        return torch.nn.functional.conv2d(images, weight, bias, padding=self.kernel // 2)


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return the bottleneck shapes of ResNet-50's first stage; more images at once on a GPU, fewer in a quick run."""
    images = 64 if scale.on_gpu else 1 if scale.quick else 4
    return (
        case(Convolution(images=images, channels=256, filters=64, side=56, kernel=1)),
        case(Convolution(images=images, channels=64, filters=64, side=56, kernel=3)),
    )


def case(shape: Convolution) -> Case:
    """Return the case of one shape."""
    return Case(
        operation="conv2d",
        name=shape.name,
        size=shape.images * shape.filters * shape.side**2,
        flops=shape.flops,
        bytes_moved=lambda number_format: shape.numbers_moved * number_format.dtype.itemsize,
        precisions=WITH_PRODUCTS,
        terms=shape.channels * shape.kernel**2,
        prepare=functools.partial(_prepare, shape=shape),
        counted=_COUNTED,
    )


def operands(shape: Convolution, number_format: Format, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and weights, channels last on GPUs, where the fast kernels want them so."""
    images = filled((shape.images, shape.channels, shape.side, shape.side), number_format, device)
    weight = filled((shape.filters, shape.channels, shape.kernel, shape.kernel), number_format, device, 1)
    order = torch.contiguous_format if device.type == "cpu" else torch.channels_last
    return images.to(memory_format=order), weight.to(memory_format=order)


def _prepare(number_format: Format, device: torch.device, shape: Convolution) -> Prepared:
    images, weight = operands(shape, number_format, device)

    def sampled(result: torch.Tensor) -> Pair:
        return reference(result[-1:]), shape.run(reference(images[-1:]), reference(weight))

    return Prepared(call=lambda: shape.run(images, weight), sampled=sampled)
