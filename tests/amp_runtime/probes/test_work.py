"""The operations of a step are counted exactly, attention on a CPU and steps that call autograd themselves included."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from amp_runtime.probes.work import bytes_of, flops_of
from amp_runtime.wire import Kept


def test_a_product_and_its_gradients_are_counted():
    layer, x = torch.nn.Linear(32, 16, bias=False), torch.randn(8, 32, requires_grad=True)
    forward = 2 * 8 * 32 * 16
    assert flops_of(lambda: layer(x)) == forward
    assert flops_of(lambda: layer(x).sum().backward()) == 3 * forward


def test_attention_on_a_cpu_is_counted():
    query = torch.randn(2, 4, 16, 8, requires_grad=True)
    products = 2 * (2 * 2 * 4 * 16 * 16 * 8)
    assert flops_of(lambda: scaled_dot_product_attention(query, query, query)) == products
    both = flops_of(lambda: scaled_dot_product_attention(query, query, query).sum().backward())
    assert both > 3 * products


def test_a_step_that_takes_gradients_itself_is_counted():
    layer, x = torch.nn.Linear(32, 16, bias=False), torch.randn(8, 32)
    assert flops_of(lambda: torch.autograd.grad(layer(x).sum(), layer.weight)) == 2 * (2 * 8 * 32 * 16)


def test_the_least_traffic_counts_each_kind_as_often_as_it_must_move():
    kept = Kept(mode="amp", weights=1, gradients=10, optimizer_state=100, activations=1000, weight_copies=10000)
    assert bytes_of(kept) == 2 * 11110 + 4
