"""Decides whether a module's namespace may hold names that its text does not show, and what it adds to builtins."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from stages._source.patterns import late
from stages._source.typetext import last_word
from stages._source.walking import children, walk

_READERS = frozenset({"get", "keys", "items", "values", "copy", "__contains__", "__getitem__"})
_READING_CALLS = frozenset(
    {"eval", "timeit", "repeat", "Timer", "testmod", "run_docstring_examples", "__import__", "dict", "list", "sorted"}
    | {"set", "frozenset", "tuple", "len", "str", "repr", "print", "pprint", "id", "iter", "any", "all", "filter"}
)
_BUILTIN_MODULES = frozenset({"builtins", "__builtin__", "__builtins__"})
# https://traitlets.readthedocs.io: names of a configuration file that its loader runs
_TRAITLETS = frozenset({"get_config", "load_subconfig", "c"})
_CONFIGURATION = late(r"(jupyter\w*|ip(ython|kernel|cluster|controller|engine)\w*|nbgrader|nbconvert)_config\.py")
_GETTEXT = ("_", "gettext", "ngettext", "pgettext", "npgettext")


@dataclass(slots=True)
class Namespace:
    """What happens to a module's namespace behind the text's back.

    Args:
        open: names may be added that the text does not show; nothing about an unknown name is certain.
        replaced: what importers see may differ from what the text binds.
        added: names bound through `globals()["x"] = …`.
        injected: names put among the builtins here.
        probed: names whose presence the text itself asks about.
        gettext: the text imports `gettext`.
        own_globals: the text uses `globals` as a name of its own.
        builtins: what the text calls the module of builtins.
    """

    open: bool = False
    replaced: bool = False
    added: set[str] = field(default_factory=set)
    injected: set[str] = field(default_factory=set)
    probed: set[str] = field(default_factory=set)
    own_globals: bool = False
    gettext: bool = False
    builtins: set[str] = field(default_factory=lambda: set(_BUILTIN_MODULES))


def given_by_host(path: str) -> frozenset[str]:
    """Return the names that the program which runs a configuration file puts into its namespace."""
    return _TRAITLETS if _CONFIGURATION.fullmatch(path.rpartition("/")[2]) else frozenset()


def replaced_in_source(tree: ast.Module) -> frozenset[str]:
    """Return the names that a decorated function reads and the text replaces in that function's source.

    A kernel that a decorator compiles from its source is a template: `kernel.src.replace("ROWS", …)` fills it in before
    anything runs. Both sides have to be there: a decorated function, and a `replace` that looks for the name.
    """
    sought: set[str] = set()
    for node in walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            text = node.args[0] if len(node.args) > 1 else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value.strip().isidentifier():
                sought.add(text.value.strip())
    decorated = (
        node
        for node in walk(tree)
        if sought and isinstance(node, ast.FunctionDef) and any(last_word(d) == "jit" for d in _functions_of(node))
    )
    return frozenset(
        part.id for node in decorated for part in walk(node) if isinstance(part, ast.Name) and part.id in sought
    )


def _functions_of(node: ast.FunctionDef) -> list[ast.expr]:
    return [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]


def inspect(tree: ast.Module) -> Namespace:
    """Look for every way a module changes its own namespace at run time."""
    found = Namespace()
    nodes = walk(tree)
    parents = {child: node for node in nodes for child in children(node)}
    at_module_level = _module_level(tree)
    for node in nodes:
        _vocabulary(found, node)
    for node in nodes:
        if isinstance(node, ast.Call):
            _call(found, node, parents, at_module_level)
        elif isinstance(node, ast.Name):
            _name(found, node, parents)
        elif isinstance(node, ast.Attribute):
            _attribute(found, node)
        elif isinstance(node, ast.Compare):
            _probe(found, node)
        elif isinstance(node, ast.Subscript):
            _subscript(found, node, parents)
    found.replaced |= found.open
    return found


def _vocabulary(found: Namespace, node: ast.AST) -> None:
    """Learn what the text calls things, and the enums whose members become names of the module."""
    if isinstance(node, ast.arg):
        found.own_globals |= node.arg == "globals"
    elif isinstance(node, ast.Name):
        found.own_globals |= node.id == "globals" and isinstance(node.ctx, ast.Store)
    elif isinstance(node, ast.Import):
        found.builtins |= {a.asname for a in node.names if a.asname and a.name in _BUILTIN_MODULES}
        found.gettext |= any(a.name == "gettext" for a in node.names)
    elif isinstance(node, ast.ImportFrom):
        found.gettext |= node.module == "gettext"
    elif isinstance(node, ast.ClassDef) and any(last_word(d) == "global_enum" for d in node.decorator_list):
        stored = (part for part in walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))
        found.added |= {part.id for part in stored}


def _module_level(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that run in the module's own frame."""
    nodes: set[ast.AST] = set()
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        nodes.add(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(children(node))
    return nodes


def _call(
    found: Namespace,
    node: ast.Call,
    parents: dict[ast.AST, ast.AST],
    at_module_level: set[ast.AST],
) -> None:
    word = last_word(node.func)
    plain = isinstance(node.func, ast.Name)
    if plain and (word == "globals" or (word in ("locals", "vars") and not node.args and node in at_module_level)):
        _namespace_value(found, node, parents)
    elif plain and word == "exec" and len(node.args) < 2 and not node.keywords and node in at_module_level:
        found.open = True
    elif word == "setattr" and len(node.args) == 3 and last_word(node.args[0]) in found.builtins:
        name = node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            found.injected.add(name.value)
        else:
            found.open = True
    elif word == "hasattr" and len(node.args) == 2 and last_word(node.args[0]) in found.builtins:
        if isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str):
            found.probed.add(node.args[1].value)
    elif word == "install" and found.gettext:
        found.injected.update(_GETTEXT)
    elif word in ("_convert_", "_convert") and not plain:  # of an enum: writes members into the module it is given
        found.open = True
    elif word == "update" and isinstance(node.func, ast.Attribute):
        found.open |= _is_builtins_dict(found, node.func.value)


def _namespace_value(found: Namespace, node: ast.Call, parents: dict[ast.AST, ast.AST]) -> None:
    """Judge what becomes of the namespace dictionary that a call returned."""
    parent = parents.get(node)
    if isinstance(parent, ast.Subscript) and parent.value is node:
        if not isinstance(parent.ctx, ast.Load):
            key = parent.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                found.added.add(key.value)
            else:
                found.open = True
        return
    if isinstance(parent, ast.Attribute) and parent.attr in _READERS:
        return
    if isinstance(parent, ast.Compare | ast.For | ast.comprehension | ast.FormattedValue):
        return
    if isinstance(parent, ast.Call) and last_word(parent.func) in _READING_CALLS:
        return
    call = parents.get(parent) if isinstance(parent, ast.keyword) else None
    if isinstance(call, ast.Call) and last_word(call.func) in _READING_CALLS:
        return
    found.open = True


def _name(found: Namespace, node: ast.Name, parents: dict[ast.AST, ast.AST]) -> None:
    if node.id == "globals" and isinstance(node.ctx, ast.Load) and not found.own_globals:
        parent = parents.get(node)
        if not (isinstance(parent, ast.Call) and parent.func is node):
            found.open = True


def _attribute(found: Namespace, node: ast.Attribute) -> None:
    if node.attr in ("f_globals", "f_builtins"):
        found.open = True
    elif isinstance(node.ctx, ast.Store) and last_word(node.value) in found.builtins:
        found.injected.add(node.attr)


def _probe(found: Namespace, node: ast.Compare) -> None:
    """Note names that are asked for, as in `"x" in globals()`."""
    if not isinstance(node.ops[0], ast.In | ast.NotIn):
        return
    left, right = node.left, node.comparators[0]
    if not (isinstance(left, ast.Constant) and isinstance(left.value, str)):
        return
    word = last_word(right.func) if isinstance(right, ast.Call) else last_word(right)
    if word in ("globals", "locals", "vars", "dir", "__dict__", "__builtins__"):
        found.probed.add(left.value)


def _subscript(found: Namespace, node: ast.Subscript, parents: dict[ast.AST, ast.AST]) -> None:
    if _is_builtins_dict(found, node.value) and not isinstance(node.ctx, ast.Load):
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.injected.add(key.value)
        else:
            found.open = True
    if last_word(node.value) == "modules" and isinstance(node.slice, ast.Name) and node.slice.id == "__name__":
        if isinstance(node.ctx, ast.Store):
            found.replaced = True
            return
        parent = parents.get(node)
        reads = (
            isinstance(parent, ast.Attribute) and isinstance(parent.ctx, ast.Load) and parent.attr != "__dict__"
        ) or (
            isinstance(parent, ast.Call)
            and last_word(parent.func) in ("getattr", "hasattr", "getmembers", "dir", "vars")
        )
        found.open |= not reads


def _is_builtins_dict(found: Namespace, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "__builtins__"
    return isinstance(node, ast.Attribute) and node.attr == "__dict__" and last_word(node.value) in found.builtins
