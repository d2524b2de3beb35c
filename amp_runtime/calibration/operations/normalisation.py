"""Softmax, layer norm and batch norm, as a forward pass in training computes them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch.nn import functional

from amp_runtime.calibration.formats import FLOATING, Format, filled
from amp_runtime.calibration.operations.contract import Case, Pair, Prepared, Scale, reference

_Operation: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def _batch_norm(images: torch.Tensor) -> torch.Tensor:
    return functional.batch_norm(images, None, None, training=True)


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case each; every one more element-wise passes over its input than one."""
    rows = 16384 if scale.on_gpu else 512 if scale.quick else 2048
    images = 64 if scale.on_gpu else 2 if scale.quick else 8
    return (softmax(rows, 1024), layer_norm(rows, 1024), batch_norm(images, 64, 56))


def softmax(rows: int, width: int) -> Case:
    """Return softmax over the last dimension."""
    counted = "5 an element: maximum, subtraction, exponential, sum, division"
    run = functools.partial(torch.softmax, dim=-1)
    return _case("softmax", (rows, width), flops_each=5, counted=counted, run=run, slices=_some_rows)


def layer_norm(rows: int, width: int) -> Case:
    """Return layer norm over the last dimension, without weight and bias."""
    counted = "6 an element: sum, deviation, square, sum of squares, subtraction, scaling"

    def run(rows_of_numbers: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(rows_of_numbers, (width,))

    return _case("layer_norm", (rows, width), flops_each=6, counted=counted, run=run, slices=_some_rows)


def batch_norm(images: int, channels: int, side: int) -> Case:
    """Return batch norm with the statistics of the batch, without weight and bias."""
    shape = (images, channels, side, side)
    counted = "6 an element, as layer norm"
    return _case("batch_norm", shape, flops_each=6, counted=counted, run=_batch_norm, slices=_some_channels)


def _some_rows(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[-16:]


def _some_channels(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, -2:]


def _case(
    name: str,
    shape: tuple[int, ...],
    *,
    flops_each: int,
    counted: str,
    run: _Operation,
    slices: _Operation,
) -> Case:
    elements = math.prod(shape)

    def prepare(number_format: Format, device: torch.device) -> Prepared:
        numbers = filled(shape, number_format, device)

        def sampled(result: torch.Tensor) -> Pair:
            # Neither rows nor channels know of each other, so some of them are enough.
            return reference(slices(result)), run(reference(slices(numbers)))

        return Prepared(call=lambda: run(numbers), sampled=sampled)

    return Case(
        operation=name,
        name="x".join(map(str, shape)),
        size=elements,
        flops=flops_each * elements,
        bytes_moved=lambda number_format: 2 * elements * number_format.dtype.itemsize,
        precisions=FLOATING,
        terms=elements // shape[1] if name == "batch_norm" else shape[-1],
        prepare=prepare,
        counted=f"{counted}; bytes: 1 read and 1 written",
    )
