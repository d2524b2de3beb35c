"""Decides what an expression may stand for: dotted names, bindings, and functions and classes of the task."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.parsing import parse_type
from stages._source.program.scopes import Binding, Function, Scope, self_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages._source.program.project import Project

_DEPTH = 10  # aliases of aliases; beyond this nobody can follow the code either


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


def attribute_bindings(project: Project, cls: Scope, attribute: str) -> list[Binding]:
    """Return what an attribute of instances of `cls` may be: bound by its methods, in its body, or by its bases."""
    for scope in lineage(project, cls):
        found = [*scope.attributes.get(attribute, []), *scope.bindings.get(attribute, [])]
        if found:
            return found
    return []


def lineage(project: Project, cls: Scope) -> list[Scope]:
    """Return a class and its bases within the task, nearest first."""
    if cls not in project.known_lineage:
        found = project.known_lineage[cls] = [cls]  # what a base that is looked up in the class itself adds
        for scope in found:  # grows while it is walked
            if isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
                for base in scope.node.bases:
                    found += [item for item in classes(project, base, scope.parent) if item not in found]
    return project.known_lineage[cls]


def classes(project: Project, expr: ast.expr, scope: Scope) -> list[Scope]:
    """Return the task's own classes that `expr` may stand for."""
    return [found for found, node in _definitions(project, expr, scope) if isinstance(node, ast.ClassDef)]


def functions(project: Project, expr: ast.expr, scope: Scope) -> list[Scope]:
    """Return the task's own functions and methods that `expr` may stand for, those of subclasses included."""
    found = [item for item, node in _definitions(project, expr, scope) if isinstance(node, Function)]
    for method in list(found):
        if method.parent is not None and isinstance(method.parent.node, ast.ClassDef):
            found += [item for item in _overrides(project, method) if item not in found]
    return found


def instances(project: Project, expr: ast.expr, scope: Scope) -> list[Scope]:
    """Return the task's own classes that the value of `expr` may be an instance of."""
    key = (expr, scope)
    if key not in project.known_instances:
        project.known_instances[key] = []  # what a value that is built from itself adds
        found: list[Scope] = []
        if isinstance(expr, ast.Call):
            found += classes(project, expr.func, scope)
        elif isinstance(expr, ast.Name) and (cls := self_class(scope, expr.id)) is not None:
            found.append(cls)
        elif isinstance(expr, ast.Name | ast.Attribute):
            for binding in resolve_bindings(project, expr, scope):
                found += _instances_of_binding(project, binding)
        project.known_instances[key] = list(dict.fromkeys(found))
    return project.known_instances[key]


def resolve_bindings(project: Project, expr: ast.expr, scope: Scope) -> list[Binding]:
    """Return the bindings behind a name, or behind an attribute of an instance of a class of the task."""
    if isinstance(expr, ast.Name):
        owner = scope.owner_of(expr.id)
        return [] if owner is None else owner.bindings.get(expr.id, [])
    found: list[Binding] = []
    if isinstance(expr, ast.Attribute):
        for cls in instances(project, expr.value, scope):
            found += attribute_bindings(project, cls, expr.attr)
    return found


def named_classes(annotation: ast.expr | None) -> list[ast.expr]:
    """Return the names in an annotation that say what the value itself is: not those inside `list[...]`."""
    match annotation:
        case ast.Constant(value=str(text)):
            quoted = parse_type(text)
            return named_classes(quoted.body) if quoted is not None else []
        case ast.Name() | ast.Attribute():
            return [annotation]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*named_classes(left), *named_classes(right)]
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner) if name in _WRAPPERS:
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return [item for part in parts for item in named_classes(part)]
    return []


_WRAPPERS = ("Optional", "Union", "Annotated", "Final")


def _instances_of_binding(project: Project, binding: Binding) -> list[Scope]:
    found = [cls for name in named_classes(binding.annotation) for cls in classes(project, name, binding.scope)]
    if binding.value is not None and binding.how in ("value", "parameter"):
        found += instances(project, binding.value, binding.scope)
    return found


def _overrides(project: Project, method: Scope) -> list[Scope]:
    assert isinstance(method.node, Function)
    assert method.parent is not None
    name, parent = method.node.name, method.parent
    key = (parent, name)
    if key not in project.known_methods:
        project.known_methods[key] = project.classes_below(getattr(parent.node, "name", ""), name)
    return [
        binding.scope.inner[binding.node]
        for cls in project.known_methods[key]
        if parent in lineage(project, cls)[1:]
        for binding in cls.bindings[name]
        if binding.how == "function"
    ]


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
    key = (owner or scope, name)
    if key not in project.known_bound:  # not before it is found: a name may be built from itself
        project.known_bound[key] = _bound_origins(project, name, owner, scope, depth)
    return project.known_bound[key]


def _bound_origins(project: Project, name: str, owner: Scope | None, scope: Scope, depth: int) -> frozenset[str]:
    if owner is not None:
        return _of_bindings(project, owner.bindings.get(name, []), depth)
    stars = [star for outer in scope.visible() for star in outer.stars]
    return frozenset({*_starred(project, name, stars, depth), name})  # or a builtin


def _starred(project: Project, name: str, stars: Sequence[str], depth: int) -> frozenset[str]:
    key = (name, *stars)
    if key not in project.known_stars:
        project.known_stars[key] = _sources(project, name, stars)
    found, sources = project.known_stars[key]
    for star, root in sources:
        found |= {f"{star}.{name}", *_of_bindings(project, root.bindings[name], depth + 1)}
    return found


def _sources(project: Project, name: str, stars: Sequence[str]) -> tuple[frozenset[str], tuple[tuple[str, Scope], ...]]:
    """Follow a name through star imports, each module once: packages that star-import each other have many ways round.

    Ways double with each such module, so that walking all of them would never end.

    Returns:
        The names in libraries that it may be, and the files of the task that bind it, each with its module level.
    """
    elsewhere: set[str] = set()
    here: list[tuple[str, Scope]] = []
    pending = list(dict.fromkeys(stars))
    met = set(pending)
    for star in pending:  # grows while it is walked
        module = project.starred(star, name)
        if module is None:
            if not project.holds(star):
                elsewhere.add(f"{star}.{name}")
            continue
        root = module.scopes.root
        if name in root.bindings:
            here.append((star, root))
        else:
            pending += [further for further in dict.fromkeys(root.stars) if further not in met]
            met.update(root.stars)
    return frozenset(elsewhere), tuple(here)


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
    if dotted not in project.known_names:
        project.known_names[dotted] = frozenset({dotted})  # what a name that leads back to itself adds
        project.known_names[dotted] = _into(project, dotted, depth)
    return project.known_names[dotted]


def _into(project: Project, dotted: str, depth: int) -> frozenset[str]:
    split = project.split(dotted)
    if split is None or not split[1] or depth > _DEPTH:
        return frozenset({dotted})
    module, rest = split
    name, _, attribute = rest.partition(".")
    root = module.scopes.root
    if (name not in root.bindings and not root.stars) or project.leads_below(module, name):
        return frozenset({dotted})
    found = _name_origins(project, name, root, depth + 1)
    if attribute:
        found = frozenset(f"{base}.{attribute}" for base in found)
    return found | {dotted}
