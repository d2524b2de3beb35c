"""Decides which dotted names an expression may stand for, through aliases, re-exports and base classes of the task."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages.syntax.inventory.scopes import Binding, FileScopes, Function, Scope, read_scopes, self_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DEPTH = 10  # aliases of aliases; beyond this nobody can follow the code either


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One file of the task, read."""

    path: str
    name: str
    tree: ast.Module
    lines: Sequence[str]
    scopes: FileScopes

    def code(self, line: int) -> str:
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""


@dataclass(slots=True, eq=False)
class Project:
    """The task's files, by every dotted name an import may call them."""

    modules: list[Module]
    by_name: dict[str, Module] = field(default_factory=dict)
    known_origins: dict[tuple[ast.expr, Scope], frozenset[str]] = field(default_factory=dict)

    def split(self, dotted: str) -> tuple[Module, str] | None:
        """Return the file and the rest of a dotted name that goes through a file of the task."""
        parts = dotted.split(".")
        for size in range(len(parts), 0, -1):
            module = self.by_name.get(".".join(parts[:size]))
            if module is not None:
                return module, ".".join(parts[size:])
        return None


def read_project(files: Iterable[tuple[str, ast.Module, list[str]]]) -> Project:
    """Read every file once. Packages are recognised by their `__init__.py` and, without one, by their folder."""
    given = list(files)
    packages = {str(PurePosixPath(path).parent) for path, _, _ in given if path.endswith("__init__.py")}
    project = Project([])
    for path, tree, lines in given:
        name, shorter = _names(path, packages)
        scopes = read_scopes(tree, name, is_package=path.endswith("__init__.py"))
        module = Module(path, name, tree, lines, scopes)
        project.modules.append(module)
        for alias in (name, *shorter):
            project.by_name.setdefault(alias, module)
    return project


def _names(path: str, packages: set[str]) -> tuple[str, list[str]]:
    """Return the dotted name from the root, and the names under which `src` layouts and nested roots import it."""
    pure = PurePosixPath(path)
    parts = list(pure.with_suffix("").parts)
    top = pure.parent
    while str(top) in packages and str(top.parent) in packages:
        top = top.parent
    above = len(top.parts) - 1 if str(top) in packages else len(pure.parent.parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    shorter = [".".join(parts[above:])] if 0 < above < len(parts) else []
    if parts[0] == "src" and len(parts) > 1:
        shorter.append(".".join(parts[1:]))
    return ".".join(parts), shorter


def origins(project: Project, expr: ast.expr, scope: Scope, depth: int = 0) -> frozenset[str]:
    """Return the dotted names `expr` may stand for: several where branches bind it differently, none if unknown."""
    if depth > _DEPTH:
        return frozenset()
    key = (expr, scope)
    if key not in project.known_origins:
        project.known_origins[key] = frozenset()  # what a name that is built from itself adds
        project.known_origins[key] = _origins(project, expr, scope, depth)
    return project.known_origins[key]


def _origins(project: Project, expr: ast.expr, scope: Scope, depth: int) -> frozenset[str]:
    match expr:
        case ast.Name(id=name):
            return _name_origins(project, name, scope, depth)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if cls := self_class(scope, name):
            return _of_bindings(project, attribute_bindings(project, cls, attribute), depth)
        case ast.Attribute(value=value, attr=attribute):
            found: set[str] = set()
            for base in origins(project, value, scope, depth + 1):
                found |= _through(project, f"{base}.{attribute}", depth)
            return frozenset(found)
        case ast.IfExp(body=body, orelse=orelse):
            return _union(project, [body, orelse], scope, depth)
        case ast.BoolOp(values=values):
            return _union(project, values, scope, depth)
        case ast.NamedExpr(value=value):
            return origins(project, value, scope, depth + 1)
        case ast.Call(func=func, args=[first, *rest]):
            return _of_call(project, origins(project, func, scope, depth + 1), first, rest, scope, depth)
    return frozenset()


def attribute_bindings(project: Project, cls: Scope, attribute: str, depth: int = 0) -> list[Binding]:
    """Return what an attribute of instances of `cls` may be: bound by its methods, in its body, or by its bases."""
    found = [*cls.attributes.get(attribute, []), *cls.bindings.get(attribute, [])]
    if found or depth > _DEPTH or not isinstance(cls.node, ast.ClassDef) or cls.parent is None:
        return found
    for base in cls.node.bases:
        for scope in classes(project, base, cls.parent):
            found += attribute_bindings(project, scope, attribute, depth + 1)
    return found


def classes(project: Project, expr: ast.expr, scope: Scope) -> list[Scope]:
    """Return the task's own classes that `expr` may stand for."""
    return [found for found, node in _definitions(project, expr, scope) if isinstance(node, ast.ClassDef)]


def functions(project: Project, expr: ast.expr, scope: Scope) -> list[Scope]:
    """Return the task's own functions and methods that `expr` may stand for."""
    return [found for found, node in _definitions(project, expr, scope) if isinstance(node, Function)]


def resolve_bindings(project: Project, expr: ast.expr, scope: Scope) -> list[Binding]:
    """Return the bindings behind a name, an attribute of `self`, or a name in a module of the task."""
    if isinstance(expr, ast.Name):
        owner = scope.owner_of(expr.id)
        return [] if owner is None else owner.bindings.get(expr.id, [])
    if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name):
        cls = self_class(scope, expr.value.id)
        if cls is not None:
            return attribute_bindings(project, cls, expr.attr)
    return []


def _definitions(project: Project, expr: ast.expr, scope: Scope) -> list[tuple[Scope, ast.AST]]:
    found = []
    pending = resolve_bindings(project, expr, scope)
    for binding in pending:
        if binding.how in ("function", "class"):
            found.append((binding.scope.inner[binding.node], binding.node))
    for origin in sorted(origins(project, expr, scope)):
        split = project.split(origin)
        if split is None:
            continue
        module, rest = split
        found += [(defined, defined.node) for defined in module.scopes.defined(rest)]
    return list(dict.fromkeys(found))


def _union(project: Project, exprs: Sequence[ast.expr], scope: Scope, depth: int) -> frozenset[str]:
    return frozenset().union(*(origins(project, expr, scope, depth + 1) for expr in exprs))


def _of_call(
    project: Project, called: frozenset[str], first: ast.expr, rest: Sequence[ast.expr], scope: Scope, depth: int
) -> frozenset[str]:
    """`partial(f, ...)` stands for `f`, and `getattr(module, "name")` for the name."""
    if "functools.partial" in called:
        return origins(project, first, scope, depth + 1)
    if "getattr" in called and rest and isinstance(rest[0], ast.Constant) and isinstance(rest[0].value, str):
        named = ast.Attribute(value=first, attr=rest[0].value, ctx=ast.Load())
        return origins(project, named, scope, depth + 1)
    return frozenset()


def _name_origins(project: Project, name: str, scope: Scope, depth: int) -> frozenset[str]:
    owner = scope.owner_of(name)
    if owner is not None:
        return _of_bindings(project, owner.bindings.get(name, []), depth)
    found: set[str] = set()
    for star in [star for outer in scope.visible() for star in outer.stars]:
        found |= _through(project, f"{star}.{name}", depth)
    return frozenset({*found, name})  # or a builtin


def _of_bindings(project: Project, bindings: Sequence[Binding], depth: int) -> frozenset[str]:
    found: set[str] = set()
    for binding in bindings:
        if binding.how == "import":
            found |= _through(project, binding.origin, depth)
        elif binding.how in ("value", "parameter") and binding.value is not None:
            found |= origins(project, binding.value, binding.scope, depth + 1)
        elif isinstance(binding.node, ast.ClassDef):
            found.add(_qualified(binding, binding.node.name))
            found |= _union(project, binding.node.bases, binding.scope, depth)
        elif isinstance(binding.node, Function):
            found.add(_qualified(binding, binding.node.name))
    return frozenset(found)


def _qualified(binding: Binding, name: str) -> str:
    inside = f"{binding.scope.qualname}.{name}" if binding.scope.qualname else name
    return f"{binding.scope.module}.{inside}"


def _through(project: Project, dotted: str, depth: int) -> frozenset[str]:
    """Follow a dotted name into the task's own files, keeping the name itself."""
    split = project.split(dotted)
    if split is None or not split[1] or depth > _DEPTH:
        return frozenset({dotted})
    module, rest = split
    name, _, attribute = rest.partition(".")
    root = module.scopes.root
    if name not in root.bindings and not root.stars:
        return frozenset({dotted})
    found = _name_origins(project, name, root, depth + 1)
    if attribute:
        found = frozenset(f"{base}.{attribute}" for base in found)
    return found | {dotted}
