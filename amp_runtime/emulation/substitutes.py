"""Stands in for operators, or options of them, that CUDA has and the CPU has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from . import recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def _softmax(tensor: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return _widened(tensor, half_to_float).softmax(dim)


def _log_softmax(tensor: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return _widened(tensor, half_to_float).log_softmax(dim)


def _softmax_backward(grad: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype) -> Tensor:
    computed: Tensor = torch.ops.aten._softmax_backward_data.default(grad, output, dim, output.dtype)
    return computed.to(input_dtype)


def _log_softmax_backward(grad: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype) -> Tensor:
    computed: Tensor = torch.ops.aten._log_softmax_backward_data.default(grad, output, dim, output.dtype)
    return computed.to(input_dtype)


def _widened(tensor: Tensor, half_to_float: bool) -> Tensor:
    return tensor.float() if half_to_float else tensor


def _rms_norm_backward(
    grad: Tensor, tensor: Tensor, shape: Sequence[int], rstd: Tensor, weight: Tensor | None, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    # y = x * rstd * weight with rstd = (mean(x ** 2) + eps) ** -0.5 over the last dimensions.
    dims = list(range(tensor.dim() - len(shape), tensor.dim()))
    outer = list(range(tensor.dim() - len(shape)))
    normed = tensor.float() * rstd.float()
    of_weight = (grad.float() * normed).sum(outer) if outer else grad.float() * normed
    of_normed = grad.float() if weight is None else grad.float() * weight.float()
    of_tensor = rstd.float() * (of_normed - normed * (of_normed * normed).mean(dims, keepdim=True))
    return (
        of_tensor.to(tensor.dtype) if wanted[0] else None,
        of_weight.to(weight.dtype) if wanted[1] and weight is not None else None,
    )


def _mm(left: Tensor, right: Tensor, out_dtype: torch.dtype) -> Tensor:
    return left.to(out_dtype) @ right.to(out_dtype)


def _addmm(
    bias: Tensor, left: Tensor, right: Tensor, out_dtype: torch.dtype, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    return beta * bias.to(out_dtype) + alpha * _mm(left, right, out_dtype)


def _zeros(*args: Any, **kwargs: Any) -> Tensor:
    kwargs["device"] = "cpu"
    return torch.zeros(*args, **kwargs)


def _no(*_: Any, **__: Any) -> bool:
    return False


# Each takes and returns CPU tensors, in the order of the operator's schema.
SUBSTITUTES: dict[str, Callable[..., Any]] = {
    "aten::_softmax": _softmax,
    "aten::_log_softmax": _log_softmax,
    "aten::_softmax_backward_data": _softmax_backward,
    "aten::_log_softmax_backward_data": _log_softmax_backward,
    "aten::_efficientzerotensor": _zeros,  # a tensor without memory cannot be shared
    "aten::mm.dtype": _mm,
    "aten::bmm.dtype": _mm,
    "aten::addmm.dtype": _addmm,
    "aten::baddbmm.dtype": _addmm,
    "aten::_fused_rms_norm_backward": _rms_norm_backward,
    "aten::_thnn_fused_lstm_cell": recurrent.lstm_cell,
    "aten::_thnn_fused_lstm_cell_backward_impl": recurrent.lstm_cell_backward,
    "aten::_thnn_fused_gru_cell": recurrent.gru_cell,
    "aten::_thnn_fused_gru_cell_backward": recurrent.gru_cell_backward,
    "aten::_use_cudnn_ctc_loss": _no,
    "aten::_use_cudnn_ctc_loss.Tensor": _no,
    "aten::_use_miopen_ctc_loss": _no,
    "aten::_use_miopen_ctc_loss.Tensor": _no,
}
