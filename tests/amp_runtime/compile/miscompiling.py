"""Backends that compile almost rightly: ATen graphs in which one operator was changed."""

from __future__ import annotations

import operator

import torch
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

aten = torch.ops.aten
PRODUCTS = (aten.mm.default, aten.addmm.default, aten.bmm.default, aten.convolution.default)
NORMS = (
    aten.native_layer_norm.default,
    aten._native_batch_norm_legit_functional.default,
    aten.native_batch_norm.default,
    aten._batch_norm_with_update_functional.default,
)


class Miscompiling:
    """A backend that applies a change to the forward or the backward graph; `applied` counts where it found a place."""

    def __init__(self, forward=None, backward=None):
        self.applied = 0
        self._compile = aot_autograd(fw_compiler=self._compiler(forward), bw_compiler=self._compiler(backward))

    def __call__(self, graph, inputs):
        return self._compile(graph, inputs)

    def _compiler(self, change):
        def compile_graph(module, _inputs):
            if change is not None:
                self.applied += bool(change(module.graph))
                module.graph.lint()
                module.recompile()
            return make_boxed_func(module.forward)

        return compile_graph


def _floats(node):
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _nodes(graph, targets):
    return [node for node in graph.nodes if node.op == "call_function" and node.target in targets and _floats(node)]


def _after(graph, node, make):
    """Let everything that uses the node use what `make` builds of it."""
    with graph.inserting_after(node):
        made = make(node)
    node.replace_all_uses_with(made, delete_user_cb=lambda user: user is not made)


def scaled(factor, targets=PRODUCTS, which=-1):
    """One product is a little too large."""

    def change(graph):
        found = _nodes(graph, targets)
        if not found:
            return False
        _after(graph, found[which], lambda node: graph.call_function(aten.mul.Tensor, (node, factor)))
        return True

    return change


def without_bias(graph):
    found = _nodes(graph, (aten.addmm.default,))
    convolutions = [node for node in _nodes(graph, (aten.convolution.default,)) if node.args[2] is not None]
    if found:
        found[0].target, found[0].args = aten.mm.default, found[0].args[1:]
    elif convolutions:
        convolutions[0].args = (*convolutions[0].args[:2], None, *convolutions[0].args[3:])
    return bool(found or convolutions)


def without_term(graph):
    """A sum of two tensors of one shape is the first of them."""
    for node in reversed(_nodes(graph, (aten.add.Tensor,))):
        one, other = node.args[:2]
        tensors = isinstance(one, torch.fx.Node) and isinstance(other, torch.fx.Node)
        if tensors and one.meta["val"].shape == other.meta["val"].shape == node.meta["val"].shape:
            node.replace_all_uses_with(one)
            return True
    return False


def other_eps(factor):
    def change(graph):
        for node in graph.nodes:
            if node.op == "call_function" and node.target in NORMS:
                node.args = tuple(
                    value * factor if isinstance(value, float) and value < 1e-3 else value for value in node.args
                )
                return True
        return False

    return change


def swapped(graph):
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        if node.target in (aten.sub.Tensor, aten.div.Tensor) and all(isinstance(a, torch.fx.Node) for a in node.args):
            node.args = node.args[::-1]
            return True
        if node.target is aten.rsub.Scalar:
            node.target = aten.sub.Scalar
            return True
        if node.target is aten._softmax.default:
            node.args = (node.args[0], node.args[1] - 1, node.args[2])
            return True
    return False


def accumulated_in_bfloat16(graph):
    """A product is summed up in four parts that are rounded to bfloat16, as in a kernel with a narrow accumulator."""
    found = _nodes(graph, (aten.mm.default, aten.addmm.default))
    if not found:
        return False
    found[-1].target = narrow_addmm if found[-1].target is aten.addmm.default else narrow_mm
    return True


def narrow_mm(one, other):
    total = torch.zeros(one.shape[0], other.shape[1], dtype=torch.bfloat16)
    for left, right in zip(one.tensor_split(4, 1), other.tensor_split(4, 0), strict=True):
        total += torch.mm(left, right).bfloat16()
    return total.to(one.dtype)


def narrow_addmm(bias, one, other):
    return bias + narrow_mm(one, other)


def other_dropout_scale(graph):
    """What dropout keeps is scaled by the root of what it should be."""
    for node in graph.nodes:
        if _is_item(node, (aten.native_dropout.default,), (0,)):
            _after(graph, node, lambda kept: graph.call_function(aten.mul.Tensor, (kept, 0.8**0.5)))
            return True
    return False


def stale_buffers(graph):
    """Running statistics and other buffers stay what they were."""
    changed = False
    for node in list(graph.nodes):
        if node.target is aten.lerp.Scalar:
            node.replace_all_uses_with(node.args[0])
            changed = True
        if _is_item(node, NORMS[1:], (3, 4)):
            held = node.args[0].args[node.args[1]]
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.call_function(aten.clone.default, (held,)))
            changed = True
    return changed


def _is_item(node, sources, which):
    item = node.op == "call_function" and node.target is operator.getitem
    return item and node.args[0].target in sources and node.args[1] in which


def last_row_off(factor):
    """The last row of one product is wrong, as where a kernel handles its tail badly."""

    def change(graph):
        found = [node for node in _nodes(graph, PRODUCTS) if node.meta["val"].shape[0] > 1]
        if not found:
            return False

        def make(node):
            return graph.call_function(_with_other_last_row, (node, factor))

        _after(graph, found[-1], make)
        return True

    return change


def _with_other_last_row(tensor, factor):
    changed = tensor.clone()
    changed[-1] *= factor
    return changed
