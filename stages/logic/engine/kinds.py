"""What a class of the project is, by the library classes that it derives from."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program import vocabulary
from stages._source.program.origins import lineage

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.logic.engine.walker import Walker


def is_module_class(walker: Walker, cls: Scope) -> bool:
    """Say whether a class of the project is a torch module."""
    return any(name.endswith(("nn.Module", "LightningModule", "PreTrainedModel")) for name in base_names(walker, cls))


def base_names(walker: Walker, cls: Scope) -> frozenset[str]:
    """Return the dotted names of the library classes that a class of the project derives from."""
    known = walker.engine.bases.get(cls)
    if known is None:
        found: set[str] = set()
        for scope in lineage(walker.engine.project, cls):
            if isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
                for base in scope.node.bases:
                    found |= walker.engine.origins(base, scope.parent)
        known = walker.engine.bases[cls] = frozenset(found)
    return known


def is_framework(cls: Scope) -> bool:
    """Say whether a class of the project is a framework's own, as in the repository of accelerate."""
    return vocabulary.names_framework((installed_name(cls),))


def installed_name(cls: Scope) -> str:
    """Return the dotted name that a framework's class has once it is installed, without a `src` folder before it."""
    own = f"{cls.module}.{cls.qualname}"
    top = next((part for part in own.split(".") if part in ("accelerate", "lightning", "lightning_fabric")), "")
    return own[own.find(top) :]
