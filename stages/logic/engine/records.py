"""Objects that hold a configuration: their fields are what the call that makes them says, and else anybody's to set."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import lineage
from stages.logic.engine.kinds import base_names

if TYPE_CHECKING:
    from stages._source.program.scopes import Binding, Scope
    from stages.logic.engine.attempt import Attempt
    from stages.logic.engine.given import Given
    from stages.logic.engine.values import Instance
    from stages.logic.engine.walker import Walker

_MAKERS = ("dataclass", "define", "frozen", "mutable", "attrs", "s", "configclass", "chz")
_BASES = ("NamedTuple", "BaseModel", "BaseSettings", "TypedDict", "Struct", "Namespace", "TrainingArguments")
_NAME = late(r"(?:config|configuration|cfg|conf|args|arguments|options|opts|settings|hparams|flags)\d*$", re.I)


def holds_settings(walker: Walker, cls: Scope) -> bool:
    """Say whether the values in the class body are defaults, which a command line or a file may replace."""
    names = [base.rpartition(".")[2] for base in base_names(walker, cls)]
    own = lineage(walker.engine.project, cls)
    return any(name in _BASES for name in names) or any(_is_made(scope) or _is_called_so(scope) for scope in own)


def fill(walker: Walker, attempt: Attempt, given: Given, instance: Instance) -> None:
    """Store the arguments of a call that has no `__init__` of the project to run: a data class's own one does that."""
    names = _fields(walker, instance.scope)
    for name, value in (*zip(names, given.args, strict=False), *given.keywords.items()):
        if name in names:
            attempt.state.heap[(instance.key, name)] = value


def is_default(walker: Walker, cls: Scope, binding: Binding) -> bool:
    """Say whether a binding is a plain default in the body of a class that holds settings."""
    return (
        isinstance(binding.scope.node, ast.ClassDef)
        and isinstance(binding.value, ast.Constant)
        and holds_settings(walker, cls)
    )


def _fields(walker: Walker, cls: Scope) -> list[str]:
    names: dict[str, None] = {}
    for scope in reversed(lineage(walker.engine.project, cls)):
        body = scope.node.body if isinstance(scope.node, ast.ClassDef) and holds_settings(walker, cls) else []
        for statement in body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                names[statement.target.id] = None
    return list(names)


def _is_made(cls: Scope) -> bool:
    decorators = cls.node.decorator_list if isinstance(cls.node, ast.ClassDef) else []
    called = [item.func if isinstance(item, ast.Call) else item for item in decorators]
    return any(ast.unparse(item).rpartition(".")[2] in _MAKERS for item in called)


def _is_called_so(cls: Scope) -> bool:
    return _NAME.search(cls.qualname.rpartition(".")[2]) is not None
