"""Operators that cannot simply be run again in FP32, because half has a kernel of its own or keeps notes in bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .call import Call

Rule = Callable[["Call", dict[str, Any]], Any]

_aten = torch.ops.aten

# Their backward pass reads a workspace that only the real forward pass has filled.
TAKEN = frozenset(
    f"aten.{name}" for kind in ("_cudnn_rnn", "miopen_rnn", "mkldnn_rnn_layer") for name in (kind, f"{kind}_backward")
)


def _batch_norm(call: Call, a: Mapping[str, Any]) -> Any:
    """CuDNN's batch normalisation, by torch's own kernel; the reserved bytes are the real ones."""
    training = a["training"]
    out, mean, deviation = _aten.native_batch_norm(
        a["input"], a["weight"], a["bias"], a["running_mean"], a["running_var"], training,
        a["exponential_average_factor"], a["epsilon"],
    )  # fmt: skip
    return (out, mean, deviation, *call.out[3:])


def _batch_norm_backward(call: Call, a: Mapping[str, Any]) -> Any:
    return _aten.native_batch_norm_backward(
        a["grad_output"], a["input"], a["weight"], a["running_mean"], a["running_var"], a["save_mean"], a["save_var"],
        True, a["epsilon"], [True, True, True],
    )  # fmt: skip


def attention(a: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return softmax(q kT * scale + mask) v of (batch, heads, length, width) tensors, and the weights."""
    q, k, v = a["query"], a["key"], a["value"]
    scale = a.get("scale")
    scores = q @ k.mT * (q.size(-1) ** -0.5 if scale is None else scale)
    mask = a.get("attn_bias", a.get("attn_mask"))
    if mask is not None:
        scores = scores + mask
    if a.get("is_causal"):
        rows, columns = scores.shape[-2:]
        seen = torch.ones(rows, columns, dtype=torch.bool, device=q.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    weights = scores.softmax(-1)
    return weights @ v, weights


def _attention(call: Call, a: Mapping[str, Any]) -> Any:
    """Fused attention, which CUDA has in half only, by its definition."""
    return (_like(call.out[0], attention(a)[0]), *call.out[1:])


def _attention_backward(call: Call, a: Mapping[str, Any]) -> Any:
    q, k, v = a["query"], a["key"], a["value"]
    given = a.get("grad_out_", a.get("grad_out"))
    out, weights = attention(a)
    inner = given @ v.mT
    scores = weights * (inner - (given * out).sum(-1, keepdim=True))
    scale = q.size(-1) ** -0.5 if a.get("scale") is None else a["scale"]
    gradients = (scores @ k * scale, scores.mT @ q * scale, weights.mT @ given, scores)
    return tuple(
        real if real is None or n >= len(gradients) else _like(real, gradients[n]) for n, real in enumerate(call.out)
    )


def _like(real: torch.Tensor, shadow: torch.Tensor) -> torch.Tensor:
    """Return the shadow in the real result's shape: a broadcast operand's gradient is the sum."""
    return shadow if shadow.shape == real.shape else shadow.sum_to_size(real.shape)


def _dropout(call: Call, a: Mapping[str, Any]) -> Any:
    """Dropout that draws and applies its mask in one: with the mask that was really drawn."""
    mask, probability = call.out[1], a["p"]
    if a["train"] is False or probability == 0.0:
        return a["input"].clone(), mask
    scale = 0.0 if probability == 1.0 else 1.0 / (1.0 - probability)
    return a["input"] * mask * scale, mask


DRAWN: dict[str, Rule] = {"aten.native_dropout": _dropout}  # what they draw comes out of them

RULES: dict[str, Rule] = {
    "aten.cudnn_batch_norm": _batch_norm,
    "aten.cudnn_batch_norm_backward": _batch_norm_backward,
}
for _kind in ("flash", "efficient", "cudnn"):
    RULES[f"aten._scaled_dot_product_{_kind}_attention"] = _attention
    RULES[f"aten._scaled_dot_product_{_kind}_attention_backward"] = _attention_backward
