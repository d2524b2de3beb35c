"""Reads what a package offers, and what its docstrings say of it, from its source; nothing is imported or run."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECTION = re.compile(r"(Args|Raises|Returns|Yields):")
_ITEM = re.compile(r"- (?P<text>\S.*)")
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a docstring: a paragraph, an item of a list, or the title of a section."""

    kind: str  # "text", "item" or "title"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A class, function, method or property: its name, how it is written, and what it says of itself."""

    name: str
    kind: str
    signature: str
    blocks: tuple[Block, ...]
    members: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module with all that it defines for others."""

    name: str
    summary: str
    blocks: tuple[Block, ...]
    entries: tuple[Entry, ...]


def read_package(folder: Path, *, leave_out: frozenset[str] = frozenset()) -> tuple[Module, ...]:
    """Return the modules of a package that define something public, by name.

    Args:
        leave_out: names of modules and of packages, with their dots, that are no part of the interface.
    """
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        hidden = any(part.startswith("_") for part in name.split("."))
        if not hidden and not any(name == left or name.startswith(f"{left}.") for left in leave_out):
            found.append(_module(name, ast.parse(path.read_text("utf-8"))))
    return tuple(sorted((module for module in found if module.entries), key=lambda module: module.name))


def public_names(tree: ast.Module) -> tuple[str, ...]:
    """Return the strings of `__all__`, or nothing where it is not a plain list or tuple."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def _module(name: str, tree: ast.Module) -> Module:
    doc = ast.get_docstring(tree) or ""
    entries = tuple(_entry(node) for node in tree.body if _is_public(node) and not _is_variant(node))
    summary = doc.partition("\n\n")[0]
    return Module(name=name, summary=summary, blocks=tuple(blocks(doc)), entries=entries)


def _is_public(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")


def _entry(node: ast.stmt, owner: str = "") -> Entry:
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    doc = tuple(blocks(ast.get_docstring(node) or ""))
    name = f"{owner}.{node.name}" if owner else node.name
    if isinstance(node, ast.FunctionDef):
        kind = "property" if _decorators(node) & {"property", "cached_property"} else "method" if owner else "function"
        return Entry(name=name, kind=kind, signature=_function(node, kind), blocks=doc)
    members = tuple(_entry(item, node.name) for item in node.body if _is_public(item) and not _is_variant(item))
    return Entry(name=name, kind="class", signature=_class(node), blocks=doc, members=members)


def _decorators(node: ast.ClassDef | ast.FunctionDef) -> set[str]:
    names = set()
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(called.attr if isinstance(called, ast.Attribute) else ast.unparse(called))
    return names


def _is_variant(node: ast.stmt) -> bool:
    """Say whether it is another form of what stands beside it under the same name."""
    return isinstance(node, ast.FunctionDef) and bool(_decorators(node) & {"setter", "overload"})


def _function(node: ast.FunctionDef, kind: str) -> str:
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if kind == "property":
        return f"{node.name}{returned}"
    bound = kind == "method" and "staticmethod" not in _decorators(node)
    return _call(node.name, _parameters(node.args)[1 if bound else 0 :], returned)


def _class(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases]
    if "dataclass" in _decorators(node):
        lines = [f"    {ast.unparse(item)}" for item in _fields(node)]
        return "\n".join([f"class {node.name}:", *lines])
    constants = [f"    {ast.unparse(item)}" for item in node.body if isinstance(item, ast.Assign)]
    if any("Enum" in base for base in bases):
        return "\n".join([f"class {node.name}({', '.join(bases)}):", *constants])
    made = next((i for i in node.body if isinstance(i, ast.FunctionDef) and i.name == "__init__"), None)
    if made is None:
        return f"class {node.name}({', '.join(bases)})" if bases else f"class {node.name}"
    return _call(f"class {node.name}", _parameters(made.args)[1:], "")


def _fields(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_":
            yield item


def _parameters(arguments: ast.arguments) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    missing = len(plain) - len(arguments.defaults)
    written = [
        _parameter(arg, arguments.defaults[i - missing] if i >= missing else None) for i, arg in enumerate(plain)
    ]
    if arguments.posonlyargs:
        written.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        written.append(f"*{_parameter(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        written.append("*")
    written += [_parameter(arg, value) for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return written + ([f"**{_parameter(arguments.kwarg, None)}"] if arguments.kwarg else [])


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    typed = f"{argument.arg}: {ast.unparse(argument.annotation)}" if argument.annotation else argument.arg
    if default is None:
        return typed
    return f"{typed}{' = ' if argument.annotation else '='}{ast.unparse(default)}"


def _call(name: str, parameters: list[str], returned: str) -> str:
    line = f"{name}({', '.join(parameters)}){returned}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){returned}"])


def blocks(docstring: str) -> Iterator[Block]:
    """Part a docstring into paragraphs, items and titles of sections; entries of a section are items."""
    inside = False
    kind, words = "text", list[str]()
    for line in [*inspect.cleandoc(docstring).split("\n"), ""]:
        item = _ITEM.fullmatch(line) or (re.fullmatch(r" {4}(?P<text>\S.*)", line) if inside else None)
        title = _SECTION.fullmatch(line)
        inside = title is not None or (inside and (not line or line.startswith(" ")))
        if (not line or item or title) and words:
            yield Block(kind=kind, text=" ".join(words))
            kind, words = "text", []
        if title:
            yield Block(kind="title", text=title[1])
        elif item:
            kind, words = "item", [item["text"].strip()]
        elif line:
            words.append(line.strip())
