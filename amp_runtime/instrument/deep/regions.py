"""Operators in the wrong kind of region, or of a shape that tensor cores do not like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .call import Call, is_half
from .operators import short

if TYPE_CHECKING:
    from .autocast_state import AutocastState
    from .facts import Facts

_LOSSES = frozenset({
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
    "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "linear_cross_entropy",
    "margin_ranking_loss", "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "nll_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
})  # fmt: skip
_MATRICES = {"aten.mm": (0, 1), "aten.addmm": (1, 2), "aten.bmm": (0, 1), "aten.baddbmm": (1, 2)}
_TILE = 8  # elements of a half type that a tensor core takes at once
_CAST = "aten._to_copy"


def check_regions(call: Call, autocast: AutocastState, facts: Facts) -> None:
    """Look at one call: which region it is in, and what it works on."""
    half = next((tensor for _, tensor in call.inputs if is_half(tensor)), None)
    if half is None or not call.computes or call.operator.name == _CAST:
        return
    notes = {"dtype": short(half.dtype)}
    if call.forward and call.autocast is False:
        if call.where.api in _LOSSES:
            facts.add("half-loss-outside-autocast", call.place, {}, notes)
        if autocast.disabled_inside(half.device.type):
            facts.add("half-in-fp32-region", call.place, {}, notes)
    if call.place.phase == "optimizer" and call.autocast and call.operator.flops is not None:
        facts.add("optimizer-math-in-half", call.place, {}, notes)
    if call.forward and call.operator.name in _MATRICES:
        _check_tiles(call, facts)


def _check_tiles(call: Call, facts: Facts) -> None:
    left, right = (call.args[position] for position in _MATRICES[call.operator.name])
    if not (isinstance(left, torch.Tensor) and is_half(left)):
        return
    sizes = {"m": left.shape[-2], "k": left.shape[-1], "n": right.shape[-1]}
    if any(size % _TILE for size in sizes.values()):
        facts.add("misaligned-matmul", call.place, {name: float(size) for name, size in sizes.items()})
