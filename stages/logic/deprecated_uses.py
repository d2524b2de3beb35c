"""Where a file imports and uses names of torch.cuda.amp and torch.cpu.amp that torch.amp has replaced."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.logic.deprecated import LAST_NAMES, is_deprecated, rewritten, today
from stages.logic.guards import asked_before

if TYPE_CHECKING:
    from stages._source.program.scopes import Seen
    from stages.logic.view import View

Found = tuple[ast.stmt | ast.expr, str, str]


def deprecated_imports(view: View) -> list[Found]:
    """Return (statement, dotted name, what to write) of each import that nothing guards."""
    found: list[Found] = []
    for scope in view.module.scopes.scopes.values():
        for bindings in scope.bindings.values():
            for binding in bindings:
                node = binding.node
                if binding.how != "import" or not is_deprecated(binding.origin):
                    continue
                if isinstance(node, ast.ImportFrom) and not asked_before(view, node):
                    found.append((node, binding.origin, f"`{_import(binding.origin)}`"))
    return found


def _import(name: str) -> str:
    package, _, last = today(name).rpartition(".")
    return f"from {package} import {last}"


def deprecated_uses(view: View) -> list[Found]:
    """Return (name or attribute, dotted name, what to write) of each use that nothing guards."""
    found: list[Found] = []
    aliases = deprecated_aliases(view)
    for seen in view.module.scopes.loads:
        node = seen.node
        if isinstance(node, ast.Attribute) and not LAST_NAMES.fullmatch(node.attr):
            continue
        if isinstance(node, ast.Name) and node.id not in aliases:
            continue
        assert isinstance(node, ast.expr)
        if (name := _deprecated(view, seen, node)) and not asked_before(view, node):
            parent = view.parent(node)
            call = parent if isinstance(parent, ast.Call) and parent.func is node else None
            found.append((node, name, f"`{rewritten(call, name)}`"))
    return found


def deprecated_aliases(view: View) -> set[str]:
    """Return the names under which the file imports something that may be deprecated."""
    return {
        name
        for scope in view.module.scopes.scopes.values()
        for name, bindings in scope.bindings.items()
        if any(binding.how == "import" and is_deprecated(binding.origin) for binding in bindings)
    }


def _deprecated(view: View, seen: Seen, node: ast.expr) -> str | None:
    """Return the old name; None where another version of torch brings another one."""
    names = view.origins(node, seen.scope)
    return next(iter(names)) if len(names) == 1 and all(map(is_deprecated, names)) else None
