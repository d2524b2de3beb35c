"""A call of every operator in CUDA's table of autocast, by way of the function that people call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional

# Only a GPU can run them; `_cudnn_rnn` is in the table of a build with cuDNN alone.
OTHERS = (
    "aten::_cudnn_rnn",
    "aten::_scaled_dot_product_flash_attention",
    "aten::cudnn_convolution",
    "aten::cudnn_convolution_transpose",
)
VARIANTS = ("float32", "low", "mixed")


class Make:
    """Makes the tensors of a call: all in float32, all in the dtype of autocast, or only the first in that."""

    def __init__(self, device: str, variant: str, low: torch.dtype) -> None:
        single = itertools.repeat(torch.float32)
        low_first: Iterator[torch.dtype] = itertools.chain([low], itertools.repeat(torch.float32))
        self._dtypes = {"float32": single, "low": itertools.repeat(low), "mixed": low_first}[variant]
        self._device = device

    def __call__(self, *shape: int) -> torch.Tensor:
        """Return numbers between 0.1 and 0.9, so that every function is defined."""
        count = torch.Size(shape).numel()
        return torch.linspace(0.1, 0.9, count).reshape(shape).to(self._device, next(self._dtypes))

    def whole(self, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.long, device=self._device)


def _bias_free(kind: Callable[..., Any], *weight: int) -> Callable[[Make], Any]:
    spatial = len(weight) - 2
    return lambda t: kind(t(1, 2, *[4] * spatial), t(*weight))


def _unary(name: str) -> Callable[[Make], Any]:
    return lambda t: getattr(torch, name)(t(3, 3))


def _upsample(dims: int, mode: str, **options: Any) -> Callable[[Make], Any]:
    return lambda t: functional.interpolate(t(1, 1, *[4] * dims), scale_factor=2, mode=mode, **options)


def _loss(kind: Callable[..., Any]) -> Callable[[Make], Any]:
    return lambda t: kind(t(3, 3), t(3, 3))


def _cell(gates: int, call: Callable[..., Any]) -> Callable[[Make], Any]:
    return lambda t: call(t(2, 3), t(2, 4), t(gates * 4, 3), t(gates * 4, 4))


def _lstm_cell(t: Make) -> Any:
    return torch.lstm_cell(t(2, 3), (t(2, 4), t(2, 4)), t(16, 3), t(16, 4))[0]


_OLD = torch.ops.aten._convolution.deprecated
_GRID = (0, 0, False)
_CONVOLUTION = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)

CALLS: dict[str, Callable[[Make], Any]] = {
    "aten::_convolution": lambda t: torch.ops.aten._convolution.default(
        t(1, 2, 4, 4), t(2, 2, 3, 3), None, *_CONVOLUTION, False, False, True, True
    ),
    "aten::_convolution.deprecated": lambda t: _OLD(
        t(1, 2, 4, 4), t(2, 2, 3, 3), None, *_CONVOLUTION, False, False, True
    ),
    "aten::convolution": lambda t: torch.convolution(t(1, 2, 4, 4), t(2, 2, 3, 3), None, *_CONVOLUTION),
    "aten::conv1d": _bias_free(functional.conv1d, 2, 2, 3),
    "aten::conv2d": _bias_free(functional.conv2d, 2, 2, 3, 3),
    "aten::conv3d": _bias_free(functional.conv3d, 2, 2, 3, 3, 3),
    "aten::conv_tbc": lambda t: torch.conv_tbc(t(4, 1, 2), t(3, 2, 2), t(2)),
    "aten::conv_transpose1d": _bias_free(functional.conv_transpose1d, 2, 2, 3),
    "aten::conv_transpose2d.input": _bias_free(functional.conv_transpose2d, 2, 2, 3, 3),
    "aten::conv_transpose3d.input": _bias_free(functional.conv_transpose3d, 2, 2, 3, 3, 3),
    "aten::_thnn_fused_gru_cell": lambda t: torch._VF.gru_cell(t(2, 3), t(2, 4), t(12, 3), t(12, 4)),
    "aten::_thnn_fused_lstm_cell": _lstm_cell,
    "aten::gru_cell": _cell(3, torch.gru_cell),
    "aten::lstm_cell": _lstm_cell,
    "aten::rnn_tanh_cell": _cell(1, torch.rnn_tanh_cell),
    "aten::rnn_relu_cell": _cell(1, torch.rnn_relu_cell),
    "aten::addbmm": lambda t: torch.addbmm(t(2, 2), t(3, 2, 2), t(3, 2, 2)),
    "aten::addmm": lambda t: torch.addmm(t(2, 2), t(2, 2), t(2, 2)),
    "aten::addmv": lambda t: torch.addmv(t(2), t(2, 2), t(2)),
    "aten::addr": lambda t: torch.addr(t(2, 2), t(2), t(2)),
    "aten::baddbmm": lambda t: torch.baddbmm(t(3, 2, 2), t(3, 2, 2), t(3, 2, 2)),
    "aten::bmm": lambda t: torch.bmm(t(3, 2, 2), t(3, 2, 2)),
    "aten::chain_matmul": lambda t: torch.ops.aten.chain_matmul.default([t(2, 2), t(2, 2), t(2, 2)]),
    "aten::einsum": lambda t: torch.einsum("ij,jk->ik", t(2, 2), t(2, 2)),
    "aten::linalg_multi_dot": lambda t: torch.linalg.multi_dot([t(2, 2), t(2, 2), t(2, 2)]),
    "aten::linalg_vecdot": lambda t: torch.linalg.vecdot(t(2, 2), t(2, 2)),
    "aten::linear": lambda t: functional.linear(t(2, 2), t(2, 2), t(2)),
    "aten::matmul": lambda t: torch.matmul(t(2, 2), t(2, 2)),
    "aten::mm": lambda t: torch.mm(t(2, 2), t(2, 2)),
    "aten::mv": lambda t: torch.mv(t(2, 2), t(2)),
    "aten::prelu": lambda t: functional.prelu(t(2, 2), t(1)),
    "aten::scaled_dot_product_attention": lambda t: functional.scaled_dot_product_attention(
        t(1, 2, 3, 4), t(1, 2, 3, 4), t(1, 2, 3, 4)
    ),
    "aten::addcdiv": lambda t: torch.addcdiv(t(2), t(2), t(2)),
    "aten::addcmul": lambda t: torch.addcmul(t(2), t(2), t(2)),
    "aten::atan2": lambda t: torch.atan2(t(2), t(2)),
    "aten::bilinear": lambda t: functional.bilinear(t(2, 3), t(2, 3), t(4, 3, 3), t(4)),
    "aten::cross": lambda t: torch.cross(t(2, 3), t(2, 3), dim=1),
    "aten::dot": lambda t: torch.dot(t(3), t(3)),
    "aten::vdot": lambda t: torch.vdot(t(3), t(3)),
    "aten::grid_sampler": lambda t: torch.grid_sampler(t(1, 1, 4, 4), t(1, 2, 2, 2), *_GRID),
    "aten::index_put": lambda t: torch.index_put(t(3), (t.whole(2),), t(2)),
    "aten::scatter_add": lambda t: torch.scatter_add(t(3), 0, t.whole(2), t(2)),
    "aten::tensordot": lambda t: torch.tensordot(t(2, 2), t(2, 2), dims=1),
    "aten::binary_cross_entropy": _loss(functional.binary_cross_entropy),
    "aten::binary_cross_entropy_with_logits": _loss(functional.binary_cross_entropy_with_logits),
    "aten::cosine_embedding_loss": lambda t: functional.cosine_embedding_loss(t(2, 3), t(2, 3), t(2)),
    "aten::cosine_similarity": _loss(functional.cosine_similarity),
    "aten::hinge_embedding_loss": _loss(functional.hinge_embedding_loss),
    "aten::huber_loss": _loss(functional.huber_loss),
    "aten::kl_div": lambda t: functional.kl_div(t(2, 3), t(2, 3), reduction="batchmean"),
    "aten::l1_loss": _loss(torch.ops.aten.l1_loss.default),
    "aten::margin_ranking_loss": lambda t: functional.margin_ranking_loss(t(3), t(3), t(3)),
    "aten::mse_loss": _loss(functional.mse_loss),
    "aten::multi_margin_loss": lambda t: functional.multi_margin_loss(t(2, 3), t.whole(2)),
    "aten::multilabel_margin_loss": lambda t: functional.multilabel_margin_loss(t(2, 3), t.whole(2, 3)),
    "aten::nll_loss": lambda t: torch._C._nn.nll_loss(t(2, 3), t.whole(2)),
    "aten::nll_loss2d": lambda t: torch._C._nn.nll_loss2d(t(1, 3, 2, 2), t.whole(1, 2, 2)),
    "aten::poisson_nll_loss": _loss(functional.poisson_nll_loss),
    "aten::smooth_l1_loss": _loss(functional.smooth_l1_loss),
    "aten::soft_margin_loss": _loss(functional.soft_margin_loss),
    "aten::triplet_margin_loss": lambda t: functional.triplet_margin_loss(t(2, 3), t(2, 3), t(2, 3)),
    "aten::cdist": lambda t: torch.cdist(t(2, 3), t(4, 3)),
    "aten::dist": _loss(torch.dist),
    "aten::pdist": lambda t: torch.pdist(t(3, 3)),
    "aten::renorm": lambda t: torch.renorm(t(3, 3), 2, 0, 1.0),
    "aten::group_norm": lambda t: functional.group_norm(t(2, 4), 2, t(4), t(4)),
    "aten::layer_norm": lambda t: functional.layer_norm(t(2, 4), (4,), t(4), t(4)),
    "aten::native_layer_norm": lambda t: torch.native_layer_norm(t(2, 4), (4,), t(4), t(4), 1e-5)[0],
    "aten::rms_norm": lambda t: functional.rms_norm(t(2, 4), (4,), t(4)),
    "aten::softmax.int": lambda t: torch.softmax(t(2, 3), -1),
    "aten::log_softmax.int": lambda t: torch.log_softmax(t(2, 3), -1),
    "aten::softplus": lambda t: functional.softplus(t(2, 3)),
    "aten::logsumexp": lambda t: torch.logsumexp(t(2, 3), -1),
    "aten::cumprod": lambda t: torch.cumprod(t(2, 3), -1),
    "aten::cumsum": lambda t: torch.cumsum(t(2, 3), -1),
    "aten::prod": lambda t: torch.prod(t(2, 3)),
    "aten::prod.dim_int": lambda t: torch.prod(t(2, 3), -1),
    "aten::sum": lambda t: torch.ops.aten.sum.default(t(2, 3)),
    "aten::sum.dim_IntList": lambda t: torch.sum(t(2, 3), -1),
    "aten::norm.Scalar": lambda t: torch.ops.aten.norm.Scalar(t(2, 3)),
    "aten::norm.ScalarOpt_dim": lambda t: torch.ops.aten.norm.ScalarOpt_dim(t(2, 3), 2, [1]),
    "aten::frobenius_norm.dim": lambda t: torch.frobenius_norm(t(2, 3), (0, 1)),
    "aten::nuclear_norm": lambda t: torch.nuclear_norm(t(3, 3)),
    "aten::nuclear_norm.dim": lambda t: torch.nuclear_norm(t(3, 3), (0, 1)),
    "aten::linalg_matrix_norm": lambda t: torch.linalg.matrix_norm(t(3, 3), 1),
    "aten::linalg_matrix_norm.str_ord": lambda t: torch.linalg.matrix_norm(t(3, 3), "fro"),
    "aten::linalg_vector_norm": lambda t: torch.linalg.vector_norm(t(3, 3)),
    "aten::pow.Scalar": lambda t: torch.pow(2, t(3)),
    "aten::pow.Tensor_Scalar": lambda t: t(3) ** 2,
    "aten::pow.Tensor_Tensor": lambda t: t(3) ** t(3),
    "aten::upsample_nearest1d": _upsample(1, "nearest"),
    "aten::upsample_nearest2d": _upsample(2, "nearest"),
    "aten::upsample_nearest3d": _upsample(3, "nearest"),
    "aten::_upsample_nearest_exact1d": _upsample(1, "nearest-exact"),
    "aten::_upsample_nearest_exact2d": _upsample(2, "nearest-exact"),
    "aten::_upsample_nearest_exact3d": _upsample(3, "nearest-exact"),
    "aten::upsample_linear1d": _upsample(1, "linear"),
    "aten::upsample_bilinear2d": _upsample(2, "bilinear"),
    "aten::upsample_trilinear3d": _upsample(3, "trilinear"),
    "aten::upsample_bicubic2d": _upsample(2, "bicubic"),
    "aten::_upsample_bilinear2d_aa": _upsample(2, "bilinear", antialias=True),
    "aten::_upsample_bicubic2d_aa": _upsample(2, "bicubic", antialias=True),
}
_UNARY = "acos asin cosh erfinv exp expm1 log log10 log1p log2 reciprocal rsqrt sinh tan"
CALLS |= {f"aten::{name}": _unary(name) for name in _UNARY.split()}

if hasattr(torch.ops.aten, "linalg_matrix_sqrth"):  # since PyTorch 2.14
    CALLS["aten::linalg_matrix_sqrth"] = lambda t: torch.ops.aten.linalg_matrix_sqrth(t(3, 3))


def outcomes(device: str, low: torch.dtype) -> dict[str, str]:
    """Make every call in every variant under autocast and return dtype, or the first words of what was raised."""
    found: dict[str, str] = {}
    for (name, call), variant in itertools.product(CALLS.items(), VARIANTS):
        try:
            with torch.autocast(device, dtype=low):
                result = call(Make(device, variant, low))
            found[f"{name} {variant}"] = str(result.dtype)
        except RuntimeError as error:
            found[f"{name} {variant}"] = f"raises {str(error)[:60]}"
    return found
