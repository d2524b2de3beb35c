"""Stands in for operators, or options of them, that CUDA has and the CPU has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from . import recurrent

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "aten::_thnn_fused_lstm_cell": recurrent.lstm_cell,
    "aten::_thnn_fused_lstm_cell_backward_impl": recurrent.lstm_cell_backward,
    "aten::_thnn_fused_gru_cell": recurrent.gru_cell,
    "aten::_thnn_fused_gru_cell_backward": recurrent.gru_cell_backward,
    "aten::_use_cudnn_ctc_loss": _no,
    "aten::_use_cudnn_ctc_loss.Tensor": _no,
    "aten::_use_miopen_ctc_loss": _no,
    "aten::_use_miopen_ctc_loss.Tensor": _no,
}
