"""What constructing an object of a project class does: its `__init__` runs, and AMP classes keep their role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.origins import lineage
from stages._source.program.scopes import Function
from stages.logic.engine import effects, library, methods, records
from stages.logic.engine.kinds import base_names, installed_name, is_framework
from stages.logic.engine.values import Callee, ClassValue, Instance, Optimizer, Params, Scaler, Scheduler, Value

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.given import Given
    from stages.logic.engine.walker import Walker

_PROTOCOL = frozenset(["scale", "unscale_", "step", "update", "__call__"])


def construct(walker: Walker, attempt: Attempt, given: Given, target: ClassValue) -> Value:
    """Return the new object."""
    cls, node = target.scope, given.node
    bases = base_names(walker, cls)
    name = cls.qualname.rpartition(".")[2]
    if is_framework(cls):  # the framework's own repository: its users are right as ever
        return library.call_library(walker, attempt, given, installed_name(cls))
    if vocabulary.names_scaler(bases):
        custom = any(method in _PROTOCOL for scope in _own(walker, cls) for method in scope.bindings)
        return Scaler(("scaler", node), name, kind="custom" if custom else "plain", site=node)
    if vocabulary.names_optimizer(bases) or any(base.endswith("optim.Optimizer") for base in bases):
        owners = [value.of for value in given.every() if isinstance(value, Params)]
        of = frozenset().union(*owners) if owners and all(owners) else frozenset()
        optimizer = Optimizer(effects.new_optimizer(attempt, node), name, owners=of, cls=name, site=node)
        effects.meet(attempt, optimizer, made=True)
        return optimizer
    if any("lr_scheduler" in base for base in bases):
        return Scheduler(("scheduler", node), name)
    instance = Instance(cls, ("instance", node, cls))
    for scope in lineage(walker.engine.project, cls):
        for binding in scope.bindings.get("__init__", []):
            if isinstance(binding.node, Function):
                walker.engine.inline(walker, attempt, given, Callee(binding.scope.inner[binding.node], instance))
                return instance
    methods.call_unknown(walker, attempt, given, instance)
    records.fill(walker, attempt, given, instance)
    return instance


def _own(walker: Walker, cls: Scope) -> list[Scope]:
    return lineage(walker.engine.project, cls)
