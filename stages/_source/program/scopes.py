"""Decides which scope every name of a file belongs to and what each name may be bound to."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Owner = ast.Module | Function | ast.Lambda | ast.ClassDef | Comprehension
SCOPED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MODULE_LEVEL = ""
_BINDING = frozenset(
    [
        *(ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.withitem, ast.NamedExpr),
        *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
    ]
)
_OPERATORS = frozenset(
    kind
    for base in (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
    for kind in base.__subclasses__()
)
_NO_NODES = _OPERATORS | {type(None), str, int, bool}  # what fields with nodes hold besides
_NOTHING_BELOW = _NO_NODES | {ast.Constant}
_RECORDED = frozenset([ast.Attribute, ast.Call, ast.Global, ast.Nonlocal, ast.Return, *_BINDING])
_PLAIN = frozenset(
    ["id", "attr", "arg", "ctx", "op", "ops", "asname", "module", "level", "kind", "type_comment", "conversion"]
)  # fields that hold text, numbers or leaves in whatever kind of node has them
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: ()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binding:
    """One way a name gets its value. `value` and `annotation` are to be read in `scope`.

    Args:
        how: "element" is one part of `value` (unpacking, a loop); "context" is what `with value` gives.
        origin: the dotted name of an import.
    """

    how: Literal["import", "value", "element", "context", "parameter", "function", "class", "opaque"]
    node: ast.AST
    scope: Scope
    origin: str = ""
    value: ast.expr | None = None
    annotation: ast.expr | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """A namespace. `attributes` of a class holds what its methods bind on `self`."""

    node: Owner
    parent: Scope | None
    qualname: str
    module: str = ""  # dotted name of the file
    is_package: bool = False
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    elsewhere: dict[str, Scope] = field(default_factory=dict)  # `global` and `nonlocal` names
    inner: dict[ast.AST, Scope] = field(default_factory=dict)  # every scope of the file, by its node
    returns: list[ast.expr] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.qualname or MODULE_LEVEL

    def bind(self, name: str, binding: Binding) -> None:
        owner = self.elsewhere.get(name, self)
        owner.bindings.setdefault(name, []).append(binding)

    def visible(self) -> Iterator[Scope]:
        """Yield the scopes in which a name used here is looked up: class bodies only for their own statements."""
        yield self
        scope = self.parent
        while scope is not None:
            if not isinstance(scope.node, ast.ClassDef):
                yield scope
            scope = scope.parent

    def owner_of(self, name: str) -> Scope | None:
        if name in self.elsewhere:
            return self.elsewhere[name]
        scope: Scope | None = self
        while scope is not None and (
            name not in scope.bindings or (scope is not self and isinstance(scope.node, ast.ClassDef))
        ):
            scope = scope.parent
        return scope

    def root(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


class Seen(NamedTuple):
    """A node, the scope its names are read in, and the function a reader would say it belongs to."""

    node: ast.AST
    scope: Scope
    label: str


@dataclass(slots=True, eq=False)
class FileScopes:
    """One file, read: its scopes, and in source order the calls, contexts and names that were read."""

    root: Scope
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    calls: list[Seen] = field(default_factory=list)
    contexts: list[Seen] = field(default_factory=list)
    loaded: list[tuple[ast.AST, Scope, str]] = field(default_factory=list)  # the fields of `Seen`
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    by_qualname: dict[str, list[Scope]] | None = None
    by_member: dict[str, list[Scope]] | None = None
    by_called: dict[str, list[Seen]] | None = None

    @property
    def loads(self) -> list[Seen]:
        """Return the names and attributes that are read."""
        return [Seen(*seen) for seen in self.loaded]

    def defined(self, qualname: str) -> list[Scope]:
        """Return the functions and classes of that name; several where branches define it differently."""
        if self.by_qualname is None:
            self.by_qualname = {}
            for node, scope in self.scopes.items():
                if isinstance(node, Function | ast.ClassDef):
                    self.by_qualname.setdefault(scope.qualname, []).append(scope)
        return self.by_qualname.get(qualname, [])


def read_scopes(tree: ast.Module, module: str, *, is_package: bool) -> FileScopes:
    """Walk a file once, without recursion: no nesting is too deep."""
    root = Scope(tree, None, "", module=module, is_package=is_package)
    root.inner[tree] = root
    found = FileScopes(root, root.inner)
    parents, loaded = found.parents, found.loaded
    stack: list[tuple[ast.AST, Scope, str]] = [(node, root, MODULE_LEVEL) for node in reversed(tree.body)]
    while stack:
        seen = stack.pop()
        node, scope, label = seen
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is ast.Load:  # type: ignore[attr-defined]
                loaded.append(seen)
            continue
        entered = _ENTERED.get(kind)
        if entered is not None:
            inside = list(entered(node, Seen(*seen), found))
            parents.update({child.node: node for child in inside})
            stack += reversed(inside)
            continue
        if kind in _RECORDED:
            _record(node, seen, found)
        below = _children(node, _NOTHING_BELOW)
        for child in below:
            parents[child] = node
        below.reverse()
        stack += [(child, scope, label) for child in below]
    return found


def _children(node: ast.AST, without: Container[type] = _NO_NODES) -> list[ast.AST]:
    """Return the nodes right below one, in source order; operators and contexts are left out."""
    fields = _FIELDS.get(type(node))
    if fields is None:
        fields = _FIELDS[type(node)] = tuple(name for name in node._fields if name not in _PLAIN)
    found: list[ast.AST] = []
    for name in fields:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [item for item in value if type(item) not in without]
        elif type(value) not in without:
            found.append(value)  # type: ignore[arg-type]
    return found


def self_class(scope: Scope, name: str) -> Scope | None:
    """Return the class whose instance `name` is here: the first parameter of one of its methods."""
    owner = scope.owner_of(name)
    if owner is None or not isinstance(owner.node, Function) or owner.parent is None:
        return None
    if not isinstance(owner.parent.node, ast.ClassDef) or _is_static(owner.node):
        return None
    arguments = [*owner.node.args.posonlyargs, *owner.node.args.args]
    return owner.parent if arguments and arguments[0].arg == name else None


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of one scope in no particular order, without those of the scopes inside it."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if type(node) not in SCOPED:
            stack += _children(node)


def parameters(node: Function | ast.Lambda) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yield every parameter with its default."""
    positional = [*node.args.posonlyargs, *node.args.args]
    missing = len(positional) - len(node.args.defaults)
    yield from zip(positional, [*[None] * missing, *node.args.defaults], strict=True)
    if node.args.vararg:
        yield node.args.vararg, None
    yield from zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    if node.args.kwarg:
        yield node.args.kwarg, None


def _is_static(node: Function) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)


def _child(seen: Seen, found: FileScopes, node: Owner, name: str) -> Scope:
    outer = seen.scope
    qualname = f"{outer.qualname}.{name}" if outer.qualname and name else outer.qualname or name
    scope = Scope(node, outer, qualname, module=outer.module, is_package=outer.is_package, inner=found.scopes)
    found.scopes[node] = scope
    return scope


def _enter_function(node: Function | ast.Lambda, seen: Seen, found: FileScopes) -> Iterator[Seen]:
    scope = _child(seen, found, node, "" if isinstance(node, ast.Lambda) else node.name)
    for argument, default in parameters(node):
        annotation = argument.annotation
        binding = Binding(how="parameter", node=argument, scope=seen.scope, value=default, annotation=annotation)
        scope.bind(argument.arg, binding)
        if annotation is not None:
            yield Seen(annotation, seen.scope, seen.label)
    for default in [*node.args.defaults, *(item for item in node.args.kw_defaults if item is not None)]:
        yield Seen(default, seen.scope, seen.label)
    if isinstance(node, ast.Lambda):
        yield Seen(node.body, scope, seen.label)
        return
    seen.scope.bind(node.name, Binding(how="function", node=node, scope=seen.scope))
    for decorator in node.decorator_list:
        yield Seen(decorator, seen.scope, scope.label)
    if node.returns is not None:
        yield Seen(node.returns, seen.scope, seen.label)
    for statement in node.body:
        yield Seen(statement, scope, scope.label)


def _declare_elsewhere(node: ast.Global | ast.Nonlocal, scope: Scope) -> None:
    """Note that names belong to another scope. Python wants this said before the names are used."""
    if isinstance(node, ast.Global):
        scope.elsewhere.update(dict.fromkeys(node.names, scope.root()))
    elif scope.parent is not None:
        for name in node.names:
            owner = scope.parent.owner_of(name)
            if owner is not None:
                scope.elsewhere[name] = owner


def _enter_class(node: ast.ClassDef, seen: Seen, found: FileScopes) -> Iterator[Seen]:
    seen.scope.bind(node.name, Binding(how="class", node=node, scope=seen.scope))
    scope = _child(seen, found, node, node.name)
    for decorator in node.decorator_list:
        yield Seen(decorator, seen.scope, scope.label)
    for base in [*node.bases, *(keyword.value for keyword in node.keywords)]:
        yield Seen(base, seen.scope, scope.label)
    for statement in node.body:
        yield Seen(statement, scope, scope.label)


def _enter_comprehension(node: Comprehension, seen: Seen, found: FileScopes) -> Iterator[Seen]:
    scope = _child(seen, found, node, "")
    for index, generator in enumerate(node.generators):
        yield Seen(generator.iter, scope if index else seen.scope, seen.label)
        _bind_target(generator.target, scope, how="element", value=generator.iter)
        for test in generator.ifs:
            yield Seen(test, scope, seen.label)
    elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    for element in elements:
        yield Seen(element, scope, seen.label)


def _record(node: ast.AST, seen: tuple[ast.AST, Scope, str], found: FileScopes) -> None:
    kind, scope = type(node), seen[1]
    if kind is ast.Attribute:
        if type(node.ctx) is ast.Load:  # type: ignore[attr-defined]
            found.loaded.append(seen)
    elif kind is ast.Call:
        found.calls.append(Seen(*seen))
    elif isinstance(node, ast.Global | ast.Nonlocal):
        _declare_elsewhere(node, scope)
    elif isinstance(node, ast.Return):
        if node.value is not None:
            scope.returns.append(node.value)
    elif kind in _BINDING:
        if kind is ast.withitem:
            found.contexts.append(Seen(*seen))
        _bind(node, scope)


def _bind(node: ast.AST, scope: Scope) -> None:
    match node:
        case ast.Import() | ast.ImportFrom():
            _bind_import(node, scope)
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                _bind_target(target, scope, how="value", value=value)
        case ast.AnnAssign(target=target, annotation=annotation, value=maybe):
            _bind_target(target, scope, how="value", value=maybe, annotation=annotation)
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            _bind_target(target, scope, how="element", value=value)
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            _bind_target(target, scope, how="context", value=value)
        case ast.NamedExpr(target=target, value=value):
            _bind_target(target, _walrus_scope(scope), how="value", value=value)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            scope.bind(name, Binding(how="opaque", node=node, scope=scope))
        case ast.MatchMapping(rest=str(name)):
            scope.bind(name, Binding(how="opaque", node=node, scope=scope))


def _walrus_scope(scope: Scope) -> Scope:
    while isinstance(scope.node, COMPREHENSIONS) and scope.parent is not None:
        scope = scope.parent
    return scope


def _bind_import(node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            origin = alias.name if alias.asname else name
            scope.bind(name, Binding(how="import", node=node, scope=scope, origin=origin))
        return
    base = absolute_module(node, scope)
    for alias in node.names:
        if alias.name == "*":
            scope.stars.append(base)
            continue
        origin = f"{base}.{alias.name}" if base else alias.name
        scope.bind(alias.asname or alias.name, Binding(how="import", node=node, scope=scope, origin=origin))


def absolute_module(node: ast.ImportFrom, scope: Scope) -> str:
    """Return the dotted name that `from ... import` reads from, relative dots resolved by the file's own name."""
    if not node.level:
        return node.module or ""
    parts = scope.module.split(".")
    drop = node.level - 1 if scope.is_package else node.level
    parts = parts[: len(parts) - drop] if drop else parts
    return ".".join([*parts, *([node.module] if node.module else [])])


def _bind_target(
    target: ast.expr,
    scope: Scope,
    *,
    how: Literal["value", "element", "context"],
    value: ast.expr | None,
    annotation: ast.expr | None = None,
) -> None:
    if isinstance(target, ast.Starred):
        target = target.value
    if isinstance(target, ast.Tuple | ast.List):
        pairs = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts) and how == "value"
        for index, element in enumerate(target.elts):
            if pairs and isinstance(value, ast.Tuple | ast.List):
                _bind_target(element, scope, how="value", value=value.elts[index])
            else:
                _bind_target(element, scope, how="element", value=value)
        return
    binding = Binding(how=how, node=target, scope=scope, value=value, annotation=annotation)
    if isinstance(target, ast.Name):
        scope.bind(target.id, binding)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        owner = self_class(scope, target.value.id)
        if owner is not None:
            owner.attributes.setdefault(target.attr, []).append(binding)


_ENTERED: dict[type[ast.AST], Callable[..., Iterator[Seen]]] = {
    ast.FunctionDef: _enter_function,
    ast.AsyncFunctionDef: _enter_function,
    ast.Lambda: _enter_function,
    ast.ClassDef: _enter_class,
    **dict.fromkeys(COMPREHENSIONS, _enter_comprehension),
}
