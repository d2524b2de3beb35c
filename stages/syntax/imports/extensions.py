"""Decides which extension modules the build files of a project name, wherever in its tree they lie."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from stages._source.parsing import parse_text
from stages._source.patterns import late
from verifier.api import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE_LIMIT = 400_000
_MODULE_NAME = late(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")
_SOURCE_FILE = late(r"\.(c|cc|cpp|cxx|cu|pyx|f|f90|rs)\Z")
_NAMED = late(
    r"\b(?:pybind11_add_module|nanobind_add_module|py_extension|Python3?_add_library|extension_module)"
    r"\s*\(\s*['\"]?([\w.]+)"
    r"|\bmodule-name\s*=\s*['\"]([\w.]+)"
)


def extensions_named(file: Path) -> frozenset[str]:
    """Return the dotted names of the modules that a build file says it makes; ends of names where the start varies."""
    try:
        text = read_regular(file, _SIZE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return frozenset()
    if file.suffix == ".py":
        tree = parse_text(text)
        return frozenset(_of_setup(tree)) if tree is not None else frozenset()
    return frozenset(one or two for one, two in _NAMED.findall(text))


def _of_setup(tree: ast.Module) -> Iterator[str]:
    """Yield what is given as a name beside source files, whatever the constructor is called."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        name = _text(node.args[0] if node.args else given.get("name"))
        if name and _MODULE_NAME.match(name) and _takes_sources(node, given):
            below = _text(given.get("module"))
            yield f"{below}.{name}" if below else name
        elif _last_word(node.func) == "cythonize":
            yield from _cythonized(node)


def _takes_sources(node: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    if "sources" in given or "extension" in _last_word(node.func).lower():
        return True
    sources = node.args[1] if len(node.args) > 1 else None
    items = sources.elts if isinstance(sources, ast.List | ast.Tuple) else ()
    return any(_SOURCE_FILE.search(_text(item)) for item in items)


def _cythonized(node: ast.Call) -> Iterator[str]:
    """Yield the modules of `cythonize("pkg/core.pyx")`, named by the folders of the path."""
    for item in ast.walk(node.args[0]) if node.args else ():
        text = _text(item) if isinstance(item, ast.expr) else ""
        if text.endswith((".pyx", ".py")) and "*" not in text:
            name = text.rpartition(".")[0].removeprefix("./").replace("/", ".")
            if _MODULE_NAME.match(name):
                yield name


def _text(node: ast.expr | None) -> str:
    """Return a string; of an f-string, what stands after its last variable part."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return _text(node.values[-1]).lstrip(".") if isinstance(node.values[-1], ast.Constant) else ""
    return ""


def _last_word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
