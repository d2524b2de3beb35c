"""What a method call means for AMP, by what it is called on; an unknown receiver is recognised by name and use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages.logic.engine import effects
from stages.logic.engine.conditions import assume
from stages.logic.engine.contexts import enter
from stages.logic.engine.events import Called
from stages.logic.engine.handed import clip_by_name, observe_gradients
from stages.logic.engine.kinds import base_names, is_module_class
from stages.logic.engine.library import dtype_of
from stages.logic.engine.precision import remember_cast
from stages.logic.engine.values import (
    NONE,
    Autocast,
    Const,
    Framework,
    Gradient,
    Instance,
    Items,
    Model,
    NullContext,
    Optimizer,
    Params,
    ScaleNumber,
    Scaler,
    Scheduler,
    Table,
    Tensor,
    Unknown,
    Value,
    fresh,
    key_of,
)

if TYPE_CHECKING:
    import ast

    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.given import Given
    from stages.logic.engine.values import Key
    from stages.logic.engine.walker import Walker

_SCALER_USES = frozenset(["scale", "unscale_", "step", "update", "get_scale", "is_enabled"])
_KEEP = frozenset(
    [
        "sum",
        "mean",
        "float",
        "double",
        "to",
        "reshape",
        "view",
        "squeeze",
        "div",
        "mul",
        "clone",
        "cuda",
        "unsqueeze",
        "contiguous",
    ]
)
_HARMLESS = ("state_dict", "load_state_dict", "get_", "set_", "is_", "_get_", "__")
_CLIPS = frozenset(["clip_grad_norm_", "clip_grad_value_", "clip_gradients", "clip_grad_norm"])
_EDITS = frozenset(
    ["clamp_", "clip_", "nan_to_num_", "add_", "sub_", "copy_", "fill_", "masked_fill_", "sign_", "normal_"]
)
_CAST = {"half": "float16", "bfloat16": "bfloat16", "float": "float32"}
_SUSPECT = ("unscale", "scaler", "clip", "amp", "backward", "optim", "step", "grad")


def call_method(  # noqa: PLR0912 - one arm for each kind of receiver
    walker: Walker, attempt: Attempt, given: Given, receiver: Value, name: str, owner: ast.expr
) -> Value:
    """Let `receiver.name(...)` take effect, where it is no code of the project."""
    known_by_name = isinstance(receiver, Unknown)
    receiver = _recognised(receiver, name, owner)
    if known_by_name and isinstance(receiver, Scaler):  # whoever calls it has it: it is not None from here on
        attempt.state.facts = assume(receiver.key, True, attempt.state.facts) or attempt.state.facts
    if name == "backward" and not isinstance(receiver, Framework):
        known = isinstance(receiver, Tensor) or not given.args  # what is passed may be the loss of an engine's method
        effects.backward(walker, attempt, given.node, receiver if known else fresh("call-maybe-scaled", given.node))
        return NONE
    match receiver:
        case Scaler():
            return _of_scaler(walker, attempt, given, receiver, name)
        case Optimizer():
            return _of_optimizer(walker, attempt, given, receiver, name)
        case Scheduler():
            if name == "step":
                effects.schedule(walker, attempt, given.node, receiver)
            return fresh("call", given.node)
        case Framework():
            return _of_framework(walker, attempt, given, receiver, name)
        case Gradient():
            return _of_gradient(walker, attempt, given, receiver, name)
        case Tensor() if name in _KEEP:
            return receiver
        case Tensor() if name in ("item", "detach"):
            return _tell(walker, attempt, given, receiver, name)
        case Params():
            return receiver if name in ("copy",) else fresh("call", given.node)
        case Items():
            return _of_items(walker, attempt, given, receiver, name, owner)
        case Table() if name in ("get", "pop") and (found := _entry(receiver, given)) is not None:
            return found
        case Table() if name == "values":
            return Items(tuple(value for _, value in receiver.entries))
        case Instance() if _is_lightning(walker, receiver):
            found = _of_lightning(walker, attempt, given, receiver, name)
            if found is not None:
                return found
        case Autocast() | NullContext():
            return receiver if name == "__enter__" else NONE
    return _of_model(walker, attempt, given, receiver, name, owner)


def call_unknown(walker: Walker, attempt: Attempt, given: Given, target: Value) -> Value:
    """Call something that is not known: what it gets may be used in any way, what it returns is new."""
    if isinstance(target, Autocast) and given.args:
        return _tell(walker, attempt, given, target, "__call__")
    if isinstance(target, Model):
        _tell(walker, attempt, given, target, "__call__")
    if isinstance(target, Scaler):  # a wrapper in the manner of timm's: one call does everything
        effects.escape(attempt, (target, *given.every()))
        return fresh("call", given.node)
    if not isinstance(target, Model):
        clip_by_name(walker, attempt, given, last_name(given.node.func))
        effects.escape(attempt, given.every())
    if any(isinstance(value, Tensor | Scaler) for value in given.every()) or "scale" in last_name(given.node.func):
        return fresh("call-maybe-scaled", given.node)
    return fresh("call", given.node)


def _recognised(receiver: Value, name: str, owner: ast.expr) -> Value:
    """Give an unknown value its role: `scaler.unscale_` is called on scalers only, `step` on what is called so."""
    if not isinstance(receiver, Unknown) and type(receiver).__name__ != "Loop":
        return receiver
    label = last_name(owner)
    key = key_of(receiver)
    if name == "unscale_" or (name in _SCALER_USES and vocabulary.called_like_scaler(label)):
        return Scaler(key, label, assumed=True)
    if name in ("step", "zero_grad") and vocabulary.called_like_optimizer(label):
        return Optimizer(key, label, assumed=True)
    if name == "step" and "sched" in label.lower():
        return Scheduler(key, label)
    if name in (
        "backward",
        "clip_grad_norm_",
        "clip_grad_value_",
        "clip_gradients",
        "autocast",
        "unscale_gradients",
    ) and (vocabulary.called_like_framework(label)):
        return Framework("fabric" if "fabric" in label.lower() else "accelerate", key, label)
    return receiver


def as_optimizer(value: Value | None, node: ast.AST, label: str) -> Optimizer | None:
    """Return the optimizer that a scaler was given; what only a name says is assumed."""
    if value is None or isinstance(value, Optimizer):
        return value
    if isinstance(value, Const | Items | Table):
        return None
    return Optimizer(key_of(value), label, assumed=True)


def _of_scaler(walker: Walker, attempt: Attempt, given: Given, scaler: Scaler, name: str) -> Value:
    node = given.node
    if scaler.kind == "custom":
        effects.escape(attempt, (scaler, *given.every()))
        return fresh("call-maybe-scaled", node)
    label = last_name(node.args[0]) if node.args else "optimizer"
    match name:
        case "scale":
            value = given.get(0, "outputs")
            if value is None or isinstance(value, Items):
                return fresh("call-maybe-scaled", node)
            return effects.scale(walker, attempt, node, scaler, value, dropped=given.dropped)
        case "unscale_":
            optimizer = as_optimizer(given.get(0, "optimizer"), node, label)
            if optimizer is None:
                effects.lose(attempt, scaler)
            else:
                effects.unscale(walker, attempt, node, scaler, optimizer)
            return NONE
        case "step":
            optimizer = as_optimizer(given.get(0, "optimizer"), node, label)
            if optimizer is None:
                effects.lose(attempt, scaler)
            else:
                effects.step(walker, attempt, node, optimizer, scaler, args=given.args, keywords=tuple(given.keywords))
            return fresh("call", node)
        case "update":
            effects.update(walker, attempt, node, scaler, given.get(0, "new_scale"))
            return NONE
        case "get_scale" | "_get_scale_async":
            return ScaleNumber(scaler.key)
        case "is_enabled":
            return Const(scaler.enabled) if scaler.enabled is not None else fresh("call", node)
    return _of_own_scaler(walker, attempt, given, scaler, name)


def _of_own_scaler(walker: Walker, attempt: Attempt, given: Given, scaler: Scaler, name: str) -> Value:
    """Call any other method: one that the project added may unscale or step."""
    if not name.startswith(_HARMLESS):
        effects.lose(attempt, scaler)
    return _tell(walker, attempt, given, scaler, name)


def _of_optimizer(walker: Walker, attempt: Attempt, given: Given, optimizer: Optimizer, name: str) -> Value:
    match name:
        case "step" if any(isinstance(value, Scaler) for value in given.every()):
            effects.escape(attempt, (optimizer, *given.every()))  # the project's own steps through it
            return fresh("call", given.node)
        case "step":
            effects.step(walker, attempt, given.node, optimizer, None, args=given.args, keywords=tuple(given.keywords))
            return fresh("call", given.node)
        case "zero_grad":
            effects.zero_grad(walker, attempt, given.node, optimizer, optimizer.owners)
            return NONE
    return _tell(walker, attempt, given, optimizer, name)


def _of_framework(walker: Walker, attempt: Attempt, given: Given, framework: Framework, name: str) -> Value:
    node = given.node
    match name:
        case "backward":
            effects.backward(walker, attempt, node, given.get(0, "loss") or NONE, framework)
            return NONE
        case "prepare" | "setup" | "setup_optimizers" | "setup_module" | "prepare_model" | "prepare_optimizer":
            labels = [last_name(item) for item in node.args]
            pairs = zip(given.args, [*labels, *[""] * len(given.args)], strict=False)
            values = tuple(_prepared(attempt, value, label, framework) for value, label in pairs)
            return values[0] if len(values) == 1 else Items(values, "tuple")
        case "unscale_gradients":
            effects.unscaled_by_framework(attempt)
            return NONE
        case "autocast":
            enabled = framework.precision not in ("no", "32", "32-true")
            cached = not node.args and not node.keywords  # a handler of its own may turn the cache off
            return Autocast(("autocast", node), enabled=enabled, cached=cached, site=node, framework=True)
        case _ if name in _CLIPS:
            params = given.get(0, "parameters")
            of = params if isinstance(params, Params) else Params(frozenset())
            effects.clip(walker, attempt, node, of, name, given.get(1, "max_norm"), by=framework)
            return fresh("norm", node)
        case "accumulate" | "no_sync" | "no_backward_sync" | "join_uneven_inputs":
            return NullContext()
    return Unknown(("call", framework.key, name)) if not given.args else fresh("call", node)


def _prepared(attempt: Attempt, value: Value, label: str, framework: Framework) -> Value:
    """Return what a framework makes of a model, an optimizer or a scheduler that it is given."""
    if isinstance(value, Unknown) and vocabulary.called_like_optimizer(label):
        value = Optimizer(value.key, label, assumed=True)
    if isinstance(value, Optimizer):
        prepared = replace(value, prepared=True, by=framework)
        attempt.state.known[value.key] = prepared
        return prepared
    if isinstance(value, Model | Scheduler):
        return replace(value, prepared=True)
    return value


def _of_gradient(walker: Walker, attempt: Attempt, given: Given, grads: Gradient, name: str) -> Value:
    if name in ("mul_", "div_"):
        effects.edit_grads(walker, attempt, given.node, grads, name, linear=True, factor=given.get(0, "other"))
        return grads
    if name in _EDITS:
        effects.edit_grads(walker, attempt, given.node, grads, name, linear=False, factor=given.get(0, "other"))
        return grads
    if name in ("norm", "abs", "max", "mean", "sum", "std", "item", "pow"):
        return effects.read_grads(walker, attempt, given.node, grads)
    if name in ("detach", "data", "float", "view", "flatten", "clone"):
        return grads
    return fresh("call", given.node)


def _entry(table: Table, given: Given) -> Value | None:
    """Return what a dictionary holds under a literal key, or what is said to be taken instead."""
    key = given.get(0, "key")
    if not isinstance(key, Const):
        return None
    absent = given.get(1, "default") or NONE
    return dict(table.entries).get(str(key.value), absent if table.whole else None)


def _of_items(walker: Walker, attempt: Attempt, given: Given, receiver: Items, name: str, owner: ast.expr) -> Value:
    if name in ("append", "extend", "add") and given.args:
        added = given.args[0]
        more = added.values if name == "extend" and isinstance(added, Items) else (added,)
        if len(receiver.values) < 8:
            walker.assign(attempt, owner, Items((*receiver.values, *more), receiver.display))
        return NONE
    return fresh("call", given.node)


def _of_lightning(walker: Walker, attempt: Attempt, given: Given, receiver: Instance, name: str) -> Value | None:
    node = given.node
    match name:
        case "manual_backward":
            effects.backward(walker, attempt, node, given.get(0, "loss") or NONE, "lightning")
            return NONE
        case "optimizers":
            return Unknown(("optimizers", receiver.key))
        case "clip_gradients" | "configure_gradient_clipping":
            effects.clip(walker, attempt, node, Params(frozenset()), f"self.{name}", given.get(1, "gradient_clip_val"))
            return NONE
    return None


def _of_model(walker: Walker, attempt: Attempt, given: Given, receiver: Value, name: str, owner: ast.expr) -> Value:
    key = key_of(receiver)
    match name:
        case "parameters" | "named_parameters" | "trainable_parameters":
            return Params(frozenset({key}))
        case "zero_grad":
            effects.zero_grad(walker, attempt, given.node, None, frozenset({key}))
            return NONE
        case "half" | "bfloat16" | "float" | "to" if isinstance(receiver, Model):
            _tell(walker, attempt, given, receiver, name)
            dtype = _remember_cast(attempt, given, key, name)
            return replace(receiver, dtype=dtype or receiver.dtype)
        case "cuda" | "to" | "train" | "eval" | "cpu" | "requires_grad_" | "half" | "bfloat16" | "float":
            _tell(walker, attempt, given, receiver, name)
            whole = isinstance(receiver, Model | Instance) or key[0] != "call"
            result = receiver if whole else fresh("call", given.node)
            for module in dict.fromkeys((key_of(result), key)):  # cast in place, whatever becomes of the result
                _remember_cast(attempt, given, module, name)
            return result
        case "clip_grad_norm_" if (
            isinstance(receiver, Model) or not given.args or not isinstance(given.args[0], Params)
        ):
            model = receiver if isinstance(receiver, Model) else Model(key, last_name(owner))
            effects.clip(
                walker, attempt, given.node, Params(frozenset({key})), name, given.get(0, "max_norm"), by=model
            )
            return fresh("norm", given.node)
        case "enter_context" if given.args:
            return enter(walker, attempt, given.args[0], given.node)
    if name == "get" and given.args and isinstance(given.args[0], Const) and not isinstance(receiver, Model):
        stored = attempt.state.heap.get((key, key_of(given.args[0])))  # of a dictionary: the same as a subscript
        return stored if stored is not None else Unknown(("item", key, key_of(given.args[0])))
    _tell(walker, attempt, given, receiver, name)
    observe_gradients(walker, attempt, given, name)
    if _may_touch(name):
        clip_by_name(walker, attempt, given, name)
        effects.escape(attempt, _in_reach(attempt, receiver, given))
    if any(isinstance(value, Tensor) for value in given.every()):
        return fresh("call-maybe-scaled", given.node)
    if not given.args and not given.keywords and name.startswith(("is_", "has_", "should_", "use_")):
        return Unknown(("pure", key, name))
    return fresh("call", given.node)


def _remember_cast(attempt: Attempt, given: Given, model: Key, name: str) -> str | None:
    """Have the path know what a cast makes of a model's parameters; return it, None where only the device changes."""
    dtype = _CAST.get(name) or next((found for value in given.every() if (found := dtype_of(value))), None)
    if dtype is not None:
        remember_cast(attempt, model, dtype, given.node)
    return dtype


def _may_touch(name: str) -> bool:
    """Say whether a method that cannot be seen may unscale, clip or step, by its name."""
    return any(part in name.lower() for part in _SUSPECT)


def _in_reach(attempt: Attempt, receiver: Value, given: Given) -> tuple[Value, ...]:
    """Return the scalers and optimizers that a method gets, or finds on the object it is called on."""
    own = tuple(value for (key, _), value in attempt.state.heap.items() if key == key_of(receiver))
    return (*given.every(), *own)


def _is_lightning(walker: Walker, receiver: Instance) -> bool:
    return any(name.endswith("LightningModule") for name in base_names(walker, receiver.scope))


def _tell(walker: Walker, attempt: Attempt, given: Given, receiver: Value, name: str) -> Value:
    event = Called(
        place=attempt.frame.place(given.node),
        state=attempt.state.copy(),
        call=given.node,
        name=f".{name}",
        receiver=receiver,
        args=given.args,
        keywords=given.keywords,
        dropped=given.dropped,
    )
    walker.engine.emit(event, attempt.frame)
    return fresh("call", given.node)


__all__ = ["as_optimizer", "call_method", "call_unknown", "is_module_class"]
