"""Shadows of operators that have no FP32 kernel of their own, against autograd."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from amp_runtime.instrument.deep.shadow_rules import RULES


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_and_its_gradients(causal, masked):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3))
    mask = torch.randn(2, 3, 5, 5, requires_grad=True) if masked else None
    whole = mask if not (masked and causal) else mask.masked_fill(~torch.ones(5, 5).tril().bool(), float("-inf"))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=whole, is_causal=causal and not masked, scale=0.3)
    given = torch.randn_like(out)
    wanted = torch.autograd.grad(out, [q, k, v] + ([mask] if masked else []), given)

    arguments = {"query": q, "key": k, "value": v, "attn_bias": mask, "is_causal": causal, "scale": 0.3}
    with torch.no_grad():
        call = SimpleNamespace(out=(out, None))
        torch.testing.assert_close(RULES["aten._scaled_dot_product_efficient_attention"](call, arguments)[0], out)
        call = SimpleNamespace(out=(q, k, v, mask))
        rule = RULES["aten._scaled_dot_product_efficient_attention_backward"]
        found = rule(call, {**arguments, "grad_out_": given})
    for shadow, gradient in zip(found, wanted, strict=False):
        torch.testing.assert_close(shadow, gradient)
    assert masked or found[3] is None


def test_batch_normalisation_and_its_gradients():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, requires_grad=True)
    weight, bias = torch.rand(3, requires_grad=True), torch.rand(3, requires_grad=True)
    mean, variance = torch.zeros(3), torch.ones(3)
    out = F.batch_norm(x, mean.clone(), variance.clone(), weight, bias, training=True)
    given = torch.randn_like(out)
    wanted = torch.autograd.grad(out, [x, weight, bias], given)
    forward = {
        "input": x, "weight": weight, "bias": bias, "running_mean": mean, "running_var": variance, "training": True,
        "exponential_average_factor": 0.1, "epsilon": 1e-5,
    }  # fmt: skip
    with torch.no_grad():
        call = SimpleNamespace(out=(out, None, None, None))
        shadow, saved_mean, saved_deviation, _ = RULES["aten.cudnn_batch_norm"](call, forward)
        torch.testing.assert_close(shadow, out)
        backward = {**forward, "grad_output": given, "save_mean": saved_mean, "save_var": saved_deviation}
        found = RULES["aten.cudnn_batch_norm_backward"](SimpleNamespace(out=()), backward)
    for gradient, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, expected)
