"""The dtype of every operator's result, and of common functions composed of them."""

from __future__ import annotations

import warnings

import torch
from calls import CALLS, OTHERS, outcomes
from torch.nn import functional

from amp_runtime.emulation import policy


def _expected(name: str, variant: str, low: torch.dtype) -> str:
    treatment = policy("cuda").treatments[name]
    if treatment.category == "banned":
        return f"raises {treatment.message[:60]}"
    stays_low = treatment.category == "lower_precision_fp" or (treatment.category == "promote" and variant == "low")
    return str(low if stays_low else torch.float32)


def _check_table(device: str, low: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions that are deprecated, and still in the table
        found = outcomes(device, low)
    expected = {key: _expected(*key.split(), low) for key in found}
    assert found == expected, {key: (found[key], expected[key]) for key in found if found[key] != expected[key]}


def check_every_operator_of_the_table_has_a_call():
    table = set(policy("cuda").treatments)
    assert table - set(OTHERS) == set(CALLS)


def check_the_table_on_the_emulated_device_in_float16():
    _check_table("cuda", torch.float16)


def check_the_table_on_the_emulated_device_in_bfloat16():
    _check_table("cuda", torch.bfloat16)


def check_the_table_on_the_cpu_in_float16():
    _check_table("cpu", torch.float16)


def check_the_table_on_the_cpu_in_bfloat16():
    _check_table("cpu", torch.bfloat16)


# With a half-precision tensor h, float32 w and a whole-number index i. Each is composed of several operators, or is
# one that the CPU's own table has and CUDA's has not.
COMPOSED = {
    "mean": lambda h, w, i: h.mean(),
    "mean of a dimension": lambda h, w, i: h.mean(-1),
    "std": lambda h, w, i: h.std(),
    "var": lambda h, w, i: h.var(-1),
    "std_mean": lambda h, w, i: torch.std_mean(h)[0],
    "sqrt": lambda h, w, i: h.sqrt(),
    "sigmoid": lambda h, w, i: h.sigmoid(),
    "tanh": lambda h, w, i: h.tanh(),
    "gelu": lambda h, w, i: functional.gelu(h),
    "silu": lambda h, w, i: functional.silu(h),
    "mish": lambda h, w, i: functional.mish(h),
    "elu": lambda h, w, i: functional.elu(h),
    "leaky_relu": lambda h, w, i: functional.leaky_relu(h),
    "logsigmoid": lambda h, w, i: functional.logsigmoid(h),
    "glu": lambda h, w, i: functional.glu(h),
    "abs": lambda h, w, i: h.abs(),
    "max": lambda h, w, i: h.max(-1).values,
    "amax": lambda h, w, i: h.amax(-1),
    "median": lambda h, w, i: h.median(),
    "sort": lambda h, w, i: h.sort().values,
    "topk": lambda h, w, i: h.topk(2).values,
    "clamp": lambda h, w, i: h.clamp(0, 1),
    "add": lambda h, w, i: h + h,
    "add a float32": lambda h, w, i: h + w,
    "multiply by a number": lambda h, w, i: h * 2.5,
    "divide": lambda h, w, i: h / h,
    "lerp": lambda h, w, i: torch.lerp(h, h, 0.5),
    "where": lambda h, w, i: torch.where(h > 0, h, w),
    "cat": lambda h, w, i: torch.cat([h, h]),
    "cat with float32": lambda h, w, i: torch.cat([h, w]),
    "stack": lambda h, w, i: torch.stack([h, h]),
    "masked_fill": lambda h, w, i: h.masked_fill(h > 0, 0.0),
    "cumsum of float64": lambda h, w, i: h.double().cumsum(0),
    "sum with a dtype": lambda h, w, i: h.sum(dtype=torch.float16),
    "softmax with a dtype": lambda h, w, i: h.softmax(-1, dtype=torch.float16),
    "softmin": lambda h, w, i: functional.softmin(h, -1),
    "log_softmax": lambda h, w, i: functional.log_softmax(h, -1),
    "gumbel_softmax": lambda h, w, i: functional.gumbel_softmax(h, dim=-1),
    "cross_entropy": lambda h, w, i: functional.cross_entropy(h, i),
    "norm": lambda h, w, i: h.norm(),
    "norm of a dimension": lambda h, w, i: h.norm(dim=-1),
    "linalg.norm": lambda h, w, i: torch.linalg.norm(h),
    "normalize": lambda h, w, i: functional.normalize(h),
    "batch_norm": lambda h, w, i: functional.batch_norm(h, None, None, training=True),
    "instance_norm": lambda h, w, i: functional.instance_norm(h[None]),
    "weight_norm": lambda h, w, i: torch._weight_norm(w, w.norm(dim=1, keepdim=True), 0),
    "dropout": lambda h, w, i: functional.dropout(h, 0.5),
    "embedding": lambda h, w, i: functional.embedding(i, w),
    "one product": lambda h, w, i: h @ w,
    "pairwise_distance": lambda h, w, i: functional.pairwise_distance(h, h),
    "avg_pool1d": lambda h, w, i: functional.avg_pool1d(h[None], 2),
    "max_pool2d": lambda h, w, i: functional.max_pool2d(h[None], 2),
    "adaptive_avg_pool2d": lambda h, w, i: functional.adaptive_avg_pool2d(h[None], 1),
    "pixel_shuffle": lambda h, w, i: functional.pixel_shuffle(h[:, None, None].expand(4, 4, 2, 4), 2),
    "pad": lambda h, w, i: functional.pad(h, (1, 1)),
    "reflection_pad": lambda h, w, i: functional.pad(h[None], (1, 1), mode="reflect"),
    "interpolate": lambda h, w, i: functional.interpolate(h[None], scale_factor=2.0),
    "unfold": lambda h, w, i: functional.unfold(h[None, None], 2),
    "gather": lambda h, w, i: h.gather(0, i[None]),
    "index_select": lambda h, w, i: h.index_select(0, i),
    "floor": lambda h, w, i: h.floor(),
    "log_sum_exp": lambda h, w, i: h.logsumexp(-1),
    "trapezoid": lambda h, w, i: torch.trapezoid(h),
    "nan_to_num": lambda h, w, i: h.nan_to_num(),
    "attention": lambda h, w, i: functional.scaled_dot_product_attention(h[None, None], w[None, None], w[None, None]),
    "mse_loss": lambda h, w, i: functional.mse_loss(h, w),
    "l1_loss": lambda h, w, i: functional.l1_loss(h, w),
    "smooth_l1_loss": lambda h, w, i: functional.smooth_l1_loss(h, w),
    "multilabel_soft_margin_loss": lambda h, w, i: functional.multilabel_soft_margin_loss(h, w),
}


def _by_propagation(low: torch.dtype) -> dict[str, str]:
    # PyTorch's fake tensors know shapes and dtypes only; they say cuda, so autocast treats them as CUDA's.
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        low_tensor, single = (torch.empty(4, 4, dtype=dtype, device="cuda") for dtype in (low, torch.float32))
        whole = torch.empty(4, dtype=torch.long, device="cuda")
        with torch.autocast("cuda", dtype=low), torch.no_grad():
            return {name: str(call(low_tensor, single, whole).dtype) for name, call in COMPOSED.items()}


def _by_emulation(device: str, low: torch.dtype) -> dict[str, str]:
    single = torch.rand(4, 4, device=device)
    whole = torch.zeros(4, dtype=torch.long, device=device)
    with torch.autocast(device, dtype=low):
        return {name: str(call(single.to(low), single, whole).dtype) for name, call in COMPOSED.items()}


def check_composed_functions_have_the_dtypes_that_cuda_propagates():
    for low in (torch.float16, torch.bfloat16):
        expected = _by_propagation(low)
        for device in ("cuda", "cpu"):
            found = _by_emulation(device, low)
            assert found == expected, (device, {n: (found[n], expected[n]) for n in found if found[n] != expected[n]})


def check_half_stays_half_where_the_cpu_alone_would_widen():
    half = torch.ones(4, 4, dtype=torch.float16, device="cuda")
    with torch.autocast("cuda"):
        assert {f(half).dtype for f in (torch.mean, torch.sqrt, torch.sigmoid, torch.std)} == {torch.float16}
        assert {f(half).dtype for f in (torch.sum, torch.exp, torch.log, torch.norm)} == {torch.float32}
