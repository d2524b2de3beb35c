"""What calls of torch and of the libraries around it mean for AMP."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages.logic.engine import effects
from stages.logic.engine.events import AutocastMade, Called, ScalerMade
from stages.logic.engine.handed import observe_gradients
from stages.logic.engine.precision import cast_of, remember_cast
from stages.logic.engine.values import (
    NONE,
    Autocast,
    Callee,
    Const,
    Dotted,
    Framework,
    Gradient,
    Instance,
    Items,
    Loop,
    Model,
    NullContext,
    Optimizer,
    Params,
    Partial,
    Scaler,
    Scheduler,
    Tensor,
    Unknown,
    Value,
    fresh,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.given import Given
    from stages.logic.engine.values import Key
    from stages.logic.engine.walker import Walker

_DTYPES = {
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float": "float32",
    "float64": "float64",
    "double": "float64",
}
_SCHEDULER = late(
    r"torch\.optim\.lr_scheduler\.[A-Z]\w*|transformers(?:\.\w+)*\.get_\w*schedule\w*|timm\.scheduler\.\w+"
)
_NO_GRAD = late(r"torch(?:\.autograd\.grad_mode)?\.(?:no_grad|inference_mode)")
_WRAPPER = late(
    r"torch\.nn(?:\.parallel)?\.(?:\w+\.)?(?:DistributedDataParallel|DataParallel)|torch\.compile|torch\.jit\.script"
    r"|(?:apex|fairscale|torch)\.\w+(?:\.\w+)*\.(?:FullyShardedDataParallel|FSDP|DistributedDataParallel)"
    r"|torch\.nn\.SyncBatchNorm\.convert_sync_batchnorm"
)
_PURE = late(
    r"isinstance|hasattr|len|callable|issubclass|bool|str|int|float|torch\.cuda\.(?:is_available|is_bf16_supported|device_count)"
    r"|torch\.(?:is_grad_enabled|device)|os\.getenv|os\.environ\.get|torch\.distributed\.(?:is_initialized|is_available|get_rank|get_world_size)"
    r"|getattr"
)
_GRADS_NORM = ("get_total_norm", "get_grad_norm", "grad_norm")
_NORMS = late(r"torch\.(?:linalg\.)?(?:vector_|matrix_)?norm|torch\._foreach_norm")
_EDITS = {"nan_to_num_": False, "nan_to_num": False, "clamp_": False, "clip_": False}
_COLLECT = frozenset(["list", "tuple", "set", "reversed", "sorted", "iter", "filter", "itertools.chain", "chain"])
_MODULE = late(r"torch\.nn\.[A-Z]\w+|torchvision\.models(?:\.\w+)+|timm\.create_model|timm\.models\.create_model")


def call_library(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Let a call of a library function or class take effect, and return its value."""
    last = name.rpartition(".")[2]
    for matches, handler in _HANDLERS:
        if matches(name, last):
            return handler(walker, attempt, given, name)
    return _other(walker, attempt, given, name)


def dtype_of(value: Value | None) -> str | None:
    """Return the canonical name of a dtype, or None where it is not a literal one."""
    if isinstance(value, Dotted) and value.name.startswith("torch."):
        return _DTYPES.get(value.name.rpartition(".")[2])
    return None


def make_scaler(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Make a GradScaler. An unknown `enabled` forks the path: on one it scales, on the other it does nothing."""
    old = name.startswith("torch.cuda.") or name.startswith("torch.cpu.")
    new = name in ("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler", "torch.GradScaler")
    node = given.node
    scaler = Scaler(
        ("scaler", node),
        "GradScaler",
        kind="sharded" if "Sharded" in name else "plain",
        device=_text(given.get(0, "device") or Const("cuda")) if new else "cpu" if "cpu" in name else "cuda",
        site=node,
        at=attempt.frame.place(node),
    )
    event = ScalerMade(
        place=attempt.frame.place(node),
        state=attempt.state.copy(),
        call=node,
        scaler=scaler,
        args=given.args,
        keywords=given.keywords,
        old=old,
        loops=len(attempt.frame.loops),
    )
    walker.engine.emit(event, attempt.frame)
    attempt.state.protocol = attempt.state.protocol.renewed(scaler.key)
    enabled = given.get(5 if new else 4, "enabled")
    if not given.whole and enabled is None:
        return replace(scaler, enabled=attempt.decide(fresh("call", node), node))
    return scaler if enabled is None or attempt.decide(enabled, node) else replace(scaler, enabled=False)


def make_autocast(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Make an autocast context, with the defaults of the signature it was called by."""
    own = re.match(r"torch\.(cuda|cpu|xpu)\.amp\.autocast", name) or re.match(r"torch\.(cuda|cpu|xpu)\.", name)
    if own:
        device: str | None = own.group(1)
        enabled, dtype, cached = given.get(0, "enabled"), given.get(1, "dtype"), given.get(2, "cache_enabled")
    else:
        device = _text(given.get(0, "device_type"))
        dtype, enabled, cached = given.get(1, "dtype"), given.get(2, "enabled"), given.get(3, "cache_enabled")
    absent = dtype in (None, NONE) and given.whole
    known = (
        {"cpu": "bfloat16", "cuda": "float16", "xpu": "float16", "mps": "float16"}.get(device or "")
        if absent
        else dtype_of(dtype)
    )
    context = Autocast(
        ("autocast", given.node), device=device, dtype=known, cached=cached != Const(False), site=given.node
    )
    event = AutocastMade(
        place=attempt.frame.place(given.node),
        state=attempt.state.copy(),
        call=given.node,
        context=context,
        args=given.args,
        keywords=given.keywords,
        name=name,
    )
    walker.engine.emit(event, attempt.frame)
    if enabled is None:
        return (
            context if given.whole else replace(context, enabled=attempt.decide(fresh("call", given.node), given.node))
        )
    return replace(context, enabled=attempt.decide(enabled, given.node))


def make_optimizer(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Make an optimizer over the parameters of some models."""
    owners: set[Key] = set()
    known = True
    for value in given.every()[:12]:
        if isinstance(value, Params):
            owners |= value.of
            known = known and bool(value.of)
    fused = given.keywords.get("fused") == Const(True)
    of = frozenset(owners) if known else frozenset()
    optimizer = Optimizer(
        effects.new_optimizer(attempt, given.node),
        name.rpartition(".")[2],
        owners=of,
        cls=name,
        fused=fused,
        site=given.node,
    )
    effects.meet(attempt, optimizer, made=True)
    return optimizer


def _make_scheduler(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    return Scheduler(("scheduler", given.node), name.rpartition(".")[2])


def _make_framework(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    fabric = name.endswith("Fabric")
    argument = given.keywords.get("precision" if fabric else "mixed_precision")
    precision = "" if argument is None else str(argument.value) if isinstance(argument, Const) else None
    return Framework(
        "fabric" if fabric else "accelerate", ("framework", given.node), name.rpartition(".")[2], precision
    )


def _no_grad(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    return NullContext(no_grad=True)


def _grad_mode(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    mode = given.get(0, "mode")
    return NullContext(no_grad=mode is not None and not attempt.decide(mode, given.node))


def _nothing(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    return NullContext()


def _wrap(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    inner = given.get(0, "module") or given.get(0, "model")
    wrapper = "compiled" if name == "torch.compile" else ""
    if ("Full" in name or "FSDP" in name) and not _shards_nothing(given):
        wrapper = "fsdp"
    if isinstance(inner, Model):
        return replace(inner, wrapper=wrapper or inner.wrapper)
    if isinstance(inner, Instance | Unknown):
        scope = inner.scope if isinstance(inner, Instance) else None
        return Model(key_of(inner), "model", wrapper=wrapper, cls=scope)
    return fresh("call", given.node)


def _shards_nothing(given: Given) -> bool:
    """Say whether FSDP is told to keep whole parameters on every rank, whose gradients are then all the same."""
    strategy = given.get(2, "sharding_strategy")
    return isinstance(strategy, Dotted) and strategy.name.endswith(".NO_SHARD")


def _copied(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Copy a module: what its parameters were cast to holds for the copy as well."""
    inner = given.get(0, "x")
    told = _other(walker, attempt, given, name)
    copied = replace(inner, key=("copy", given.node)) if isinstance(inner, Model) else told
    cast = None if inner is None else cast_of(attempt.state, key_of(inner))
    if cast is not None:
        remember_cast(attempt, key_of(copied), cast.dtype, given.node)
    return copied


def _clip(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    last = name.rpartition(".")[2]
    params = given.get(0, "parameters")
    if given.node.args and _last_called(given.node.args[0]) == "master_params":
        return fresh("norm", given.node)  # apex unscales these by itself
    limit = given.get(1, {"clip_grad_value_": "clip_value", "dispatch_clip_grad": "value"}.get(last, "max_norm"))
    strict = given.keywords.get("error_if_nonfinite") == Const(True)
    of = params if isinstance(params, Params) else Params(frozenset())
    effects.clip(walker, attempt, given.node, of, last, limit, error_if_nonfinite=strict)
    return fresh("norm", given.node)


def _last_called(node: ast.expr) -> str:
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _autograd_backward(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    loss = given.get(0, "tensors")
    if isinstance(loss, Items) and len(loss.values) == 1:
        loss = loss.values[0]
    effects.backward(walker, attempt, given.node, loss or fresh("joined", given.node))
    return NONE


def _grads_norm(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    value = given.get(0, "tensors")
    if isinstance(value, Gradient) or (isinstance(value, Params) and not _NORMS.fullmatch(name)):
        return effects.read_grads(walker, attempt, given.node, Gradient(value.of))
    return _other(walker, attempt, given, name)


def _edit(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    value = given.get(0, "input")
    if isinstance(value, Gradient):
        effects.edit_grads(walker, attempt, given.node, value, name.rpartition(".")[2], linear=False, factor=None)
    return value if value is not None else fresh("call", given.node)


def _collected(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Keep a list of parameters what it is."""
    values = [value for value in given.args if not isinstance(value, Callee) and value != NONE]
    if values and all(isinstance(value, Params) for value in values):
        of = [value.of for value in values if isinstance(value, Params)]
        return Params(frozenset().union(*of) if all(of) else frozenset())
    if len(values) == 1 and isinstance(values[0], Items | Params | Gradient):
        return values[0]
    if not given.args:
        return Items(())
    return fresh("call", given.node)


def _enumerated(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    inner = given.get(0, "iterable")
    return Unknown(("enumerated", inner, given.node))


def _zipped(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    rows = [value.values for value in given.args if isinstance(value, Items)]
    if rows and len(rows) == len(given.args):
        return Items(tuple(Items(row, "tuple") for row in zip(*rows, strict=False)))
    return fresh("call", given.node)


def _attribute(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    if len(given.args) >= 2 and isinstance(given.args[1], Const) and isinstance(given.args[1].value, str):
        return Unknown(("attribute", key_of(given.args[0]), given.args[1].value))
    return fresh("call", given.node)


def _partial(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    if not given.args or not given.whole:
        return fresh("partial", given.node)
    if len(given.args) == 1 and not given.keywords:
        return given.args[0]
    return Partial(given.args[0], given.args[1:], tuple(given.keywords.items()))


def _float(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Know `float("inf")`, a threshold that clips nothing."""
    text = given.get(0, "x")
    if isinstance(text, Const) and isinstance(text.value, str) and text.value.strip("+").lower() in ("inf", "infinity"):
        return Const(float("inf"))
    return _other(walker, attempt, given, name)


def _module(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    return Model(("model", given.node), name.rpartition(".")[2])


def _loaded(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    """Load a pretrained model; `torch_dtype` is what its parameters are."""
    loaded = _other(walker, attempt, given, name)
    dtype = dtype_of(given.keywords.get("torch_dtype") or given.keywords.get("dtype"))
    if dtype is not None:
        remember_cast(attempt, key_of(loaded), dtype, given.node)
    return loaded


def _other(walker: Walker, attempt: Attempt, given: Given, name: str) -> Value:
    event = Called(
        place=attempt.frame.place(given.node),
        state=attempt.state.copy(),
        call=given.node,
        name=name,
        receiver=None,
        args=given.args,
        keywords=given.keywords,
        dropped=given.dropped,
    )
    walker.engine.emit(event, attempt.frame)
    observe_gradients(walker, attempt, given, name)
    if _PURE.fullmatch(name) and not given.keywords:
        return Unknown(("pure", name, *(key_of(value) for value in given.args)))
    tensors = [value for value in given.every() if isinstance(value, Tensor)]
    if tensors:
        return tensors[0] if name.startswith("torch.") else fresh("call-maybe-scaled", given.node)
    last = name.rpartition(".")[2]
    if not last[:1].isupper():  # a class that is made keeps what it gets; a function may use it at once
        effects.escape(attempt, given.every() if not name.startswith(_HARMLESS) else ())
    elif any(isinstance(value, Loop) for value in given.args):
        return fresh("call", given.node)
    return fresh("call", given.node)


_HARMLESS = ("torch.", "print", "logging.", "id", "type", "repr", "wandb.", "len", "isinstance", "str", "copy.")


def _text(value: Value | None) -> str | None:
    return value.value.partition(":")[0] if isinstance(value, Const) and isinstance(value.value, str) else None


_Handler = "Callable[[Walker, Attempt, Given, str], Value]"
_HANDLERS: list[tuple[Callable[[str, str], bool], Callable[[Walker, Attempt, Given, str], Value]]] = [
    (lambda name, last: vocabulary.names_scaler((name,)), make_scaler),
    (lambda name, last: vocabulary.names_autocast((name,)), make_autocast),
    (lambda name, last: _SCHEDULER.fullmatch(name) is not None, _make_scheduler),
    (lambda name, last: vocabulary.names_optimizer((name,)), make_optimizer),
    (lambda name, last: vocabulary.names_framework((name,)), _make_framework),
    (lambda name, last: vocabulary.names_clipping((name,)), _clip),
    (lambda name, last: _NO_GRAD.fullmatch(name) is not None, _no_grad),
    (lambda name, last: last == "set_grad_enabled" and name.startswith("torch"), _grad_mode),
    (lambda name, last: last in ("nullcontext", "suppress") and "." in name, _nothing),
    (lambda name, last: _WRAPPER.fullmatch(name) is not None, _wrap),
    (lambda name, last: name in ("copy.deepcopy", "copy.copy"), _copied),
    (lambda name, last: name == "torch.autograd.backward", _autograd_backward),
    (lambda name, last: last in _GRADS_NORM or _NORMS.fullmatch(name) is not None, _grads_norm),
    (lambda name, last: last in _EDITS and name.startswith("torch."), _edit),
    (lambda name, last: name in _COLLECT, _collected),
    (lambda name, last: name == "enumerate", _enumerated),
    (lambda name, last: name == "zip", _zipped),
    (lambda name, last: name == "getattr", _attribute),
    (lambda name, last: name == "functools.partial", _partial),
    (lambda name, last: name == "float", _float),
    (lambda name, last: last == "from_pretrained", _loaded),
    (lambda name, last: _MODULE.fullmatch(name) is not None, _module),
]
