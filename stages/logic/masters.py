"""Decides whether the weights that are trained may not be eager fp32 ones: only those are cast and cached."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages.logic.engine.values import Instance, Model

if TYPE_CHECKING:
    from stages._source.program.project import Module
    from stages.logic.engine.state import State

_HALF = ("float16", "bfloat16", "half")
_CASTS = frozenset(["half", "bfloat16"])
_SPECIAL = frozenset(["autocast", "apply", "register_hook", "checkpoint", "grad", "float", "half"])
_UNCACHED = ("compiled", "fsdp")
_MODEL_NAME = late(r"(?:.*_)?(?:model|net|network|unet|vae|transformer|policy|module|encoder|decoder)\d*", re.I)


def have_no_cached_casts(state: State) -> bool:
    """Say whether a model on this path is compiled, sharded or low in precision: its weights are cast anew or never."""
    values = (*state.env.values(), *state.heap.values())
    return any(isinstance(value, Model) and (value.dtype in _HALF or value.wrapper in _UNCACHED) for value in values)


def may_be_low(module: Module) -> bool:
    """Say whether the file casts a model, or loads one in low precision, so that there may be nothing to cast."""
    return any(_lowers(seen.node) for seen in module.scopes.calls if isinstance(seen.node, ast.Call))


def _lowers(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
            if not _MODEL_NAME.fullmatch(owner):
                return name == "from_pretrained" and _low_dtype(call)
            return name in _CASTS or (name == "to" and any(_is_half(part) for part in _arguments(call)))
        case ast.Name(id="fully_shard") | ast.Attribute(attr="fully_shard"):
            return True
    return False


def _low_dtype(call: ast.Call) -> bool:
    return any(keyword.arg in ("torch_dtype", "dtype") for keyword in call.keywords)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is_half(node: ast.expr) -> bool:
    """Say whether an argument of `to` is a low dtype, or one that a variable holds."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in _HALF or "dtype" in name


def are_all_plain(state: State) -> bool:
    """Say whether every model on this path is visibly built of torch's own layers, so that no region is in fp32."""
    values = (*state.env.values(), *state.heap.values())
    models = [value for value in values if isinstance(value, Model) and not value.label.endswith("Loss")]
    own = [value.scope.node for value in values if isinstance(value, Instance) and _is_module(value.scope.node)]
    return bool(models or own) and all(map(_is_plain, models)) and all(map(_is_plain_class, own))


def _is_plain(model: Model) -> bool:
    node = model.key[-1]
    return model.key[0] == "model" and isinstance(node, ast.Call) and _builds_plainly(node)


def _is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Module") for base in node.bases)


def _is_plain_class(node: ast.AST) -> bool:
    """Say whether a class of the project is made of torch's layers alone, and sees to no types or hooks itself."""
    named = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return not named & _SPECIAL and _builds_plainly(node)


def _builds_plainly(node: ast.AST) -> bool:
    """Say whether everything that is constructed is a module of torch."""
    made = [ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)]
    return all(name.startswith(("nn.", "torch.nn.")) for name in made if name.rpartition(".")[2][:1].isupper())


_PART = late(r"requires_grad_?\s*(?:\(\s*False|=\s*False)|\bpeft\b|[lL]o[rR][aA]|adapter|master_param|param_copy")


def trains_a_part(module: Module) -> bool:
    """Say whether the file freezes or adds parameters, so that those that are trained may not be the ones cast."""
    return any(_PART.search(line) for line in module.lines)
