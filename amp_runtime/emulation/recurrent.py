"""The cells of LSTM and GRU that only CUDA has as one operator: the same formulas, computed in float32 on the CPU.

Gates, their order and what is kept for the backward pass are those of PyTorch's operators (`_thnn_fused_*`); the
equations are those in the documentation of `torch.nn.LSTM` and `torch.nn.GRU`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the next hidden state, the next cell state and the four gates, in the dtype of the gates."""
    dtype = input_gates.dtype
    summed = _biased(input_gates, input_bias) + _biased(hidden_gates, hidden_bias)
    i, f, g, o = summed.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cy = f * cx.float() + i * g
    hy = o * cy.tanh()
    return hy.to(dtype), cy.to(dtype), torch.cat([i, f, g, o], 1).to(dtype)


def lstm_cell_backward(
    grad_hy: Tensor | None, grad_cy: Tensor | None, cx: Tensor, cy: Tensor, gates: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the gradients of the gates, of the cell state and of a bias."""
    i, f, g, o = gates.float().chunk(4, 1)
    squashed = cy.float().tanh()
    of_hy = torch.zeros_like(squashed) if grad_hy is None else grad_hy.float()
    of_cy = of_hy * o * (1 - squashed**2)
    if grad_cy is not None:
        of_cy = of_cy + grad_cy.float()
    parts = (
        of_cy * g * i * (1 - i),
        of_cy * cx.float() * f * (1 - f),
        of_cy * i * (1 - g**2),
        of_hy * squashed * o * (1 - o),
    )
    of_gates = torch.cat(parts, 1).to(gates.dtype)
    return of_gates, (of_cy * f).to(cx.dtype), of_gates.sum(0) if has_bias else None


def gru_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the next hidden state and what the backward pass needs, in the dtype of the gates."""
    dtype = input_gates.dtype
    input_r, input_z, input_n = _biased(input_gates, input_bias).chunk(3, 1)
    hidden_r, hidden_z, hidden_n = _biased(hidden_gates, hidden_bias).chunk(3, 1)
    r, z = (input_r + hidden_r).sigmoid(), (input_z + hidden_z).sigmoid()
    n = (input_n + r * hidden_n).tanh()
    hy = n + z * (hx.float() - n)
    return hy.to(dtype), torch.cat([r, z, n, hx.float(), hidden_n], 1).to(dtype)


def gru_cell_backward(
    grad_hy: Tensor, kept: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of both sets of gates, of the hidden state and of both biases."""
    r, z, n, hx, hidden_n = kept.float().chunk(5, 1)
    of_hy = grad_hy.float()
    of_n = of_hy * (1 - z) * (1 - n**2)
    of_r, of_z = of_n * hidden_n * r * (1 - r), of_hy * (hx - n) * z * (1 - z)
    of_input = torch.cat([of_r, of_z, of_n], 1).to(kept.dtype)
    of_hidden = torch.cat([of_r, of_z, of_n * r], 1).to(kept.dtype)
    biases = (of_input.sum(0), of_hidden.sum(0)) if has_bias else (None, None)
    return of_input, of_hidden, (of_hy * z).to(kept.dtype), *biases


def _biased(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates.float() if bias is None else gates.float() + bias.float()
