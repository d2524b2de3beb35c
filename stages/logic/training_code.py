"""Recognises what training code is made of: modules, backward passes, steps, and the calls of a function's own body."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import lineage
from stages._source.program.scopes import own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

_MODULES = frozenset(
    [
        *("torch.nn.Module", "torch.nn.modules.module.Module", "torch.nn.modules.Module", "lightning.LightningModule"),
        *("lightning.pytorch.LightningModule", "pytorch_lightning.LightningModule"),
    ]
)
# layers of torch.nn that have parameters
LAYERS = frozenset(
    f"torch.nn.{name}"
    for name in (
        *("Linear", "Bilinear", "LazyLinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d"),
        *("ConvTranspose3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "LayerNorm", "GroupNorm"),
        *("Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell", "MultiheadAttention"),
        *("Transformer", "TransformerEncoder", "TransformerEncoderLayer", "TransformerDecoderLayer", "PReLU"),
    )
)


def is_module_class(view: View, scope: Scope) -> bool:
    """Say whether a class is a torch module by its bases, through classes of the project."""
    return any(
        view.origins(base, cls.parent) & _MODULES
        for cls in lineage(view.project, scope)
        if isinstance(cls.node, ast.ClassDef) and cls.parent is not None
        for base in cls.node.bases
    )


def own_calls(body: Iterable[ast.AST]) -> list[ast.Call]:
    """Return the calls of some statements in source order, without those of functions defined there."""
    found = [node for node in own_nodes(body) if isinstance(node, ast.Call)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def method_of(call: ast.AST) -> str:
    """Return the name of the method that is called; "" where it is no call of one."""
    return call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""


def receiver_of(call: ast.Call) -> str:
    """Return what a method is called on, as text."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def backward_calls(body: Iterable[ast.AST]) -> list[ast.Call]:
    return [call for call in own_calls(body) if method_of(call) in ("backward", "manual_backward")]


def names_in(node: ast.AST) -> Iterator[str]:
    for item in ast.walk(node):
        if isinstance(item, ast.Name):
            yield item.id


def called_on(call: ast.Call) -> set[str]:
    """Return the names that a backward pass starts from, in whatever it wraps them."""
    assert isinstance(call.func, ast.Attribute)
    first = [*call.args[:1]] if last_name(call.func.value) in ("self", "accelerator", "fabric", "engine") else []
    return {name for node in (call.func.value, *first) for name in names_in(node)}
