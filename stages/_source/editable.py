"""Decides where editable installations point to: path files and setuptools' finder modules, read as text."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from stages._source.parsing import parse_text
from verifier.api import is_file, is_there, read_regular, to_list

if TYPE_CHECKING:
    from collections.abc import Iterable


def path_file_entries(folder: str) -> list[str]:
    """Return the folders that the `.pth` files of a site folder add to the import path."""
    added = []
    to_list(folder)
    try:
        files = sorted(Path(folder).glob("*.pth"))
    except OSError:
        return []
    for file in files:
        for line in _text(file).splitlines():
            entry = line.strip()
            if entry and not entry.startswith(("#", "import ", "import\t")):
                added.append(str(Path(folder) / entry))
    return added


def editable_modules(path: Iterable[str]) -> dict[str, str]:
    """Return top-level module name -> package folder or file, from the mapping in each `__editable__*` finder."""
    modules: dict[str, str] = {}
    for folder in path:
        to_list(folder)
        try:
            finders = sorted(Path(folder).glob("__editable__*.py"))
        except OSError:
            continue
        for finder in finders:
            for name, place in _mapping(finder).items():
                modules.setdefault(name, _existing(place))
    return modules


def _existing(place: str) -> str:
    path = Path(place)
    if not is_there(path) and is_file(path.with_suffix(".py")):
        path = path.with_suffix(".py")
    return path.as_posix()


def _mapping(finder: Path) -> dict[str, str]:
    tree = parse_text(_text(finder))
    found: dict[str, str] = {}
    for node in tree.body if tree is not None else ():
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "MAPPING" and isinstance(value, ast.Dict):
            for key, place in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(place, ast.Constant):
                    found[str(key.value)] = str(place.value)
    return found


def _text(file: Path) -> str:
    try:
        return read_regular(file).decode("utf-8", "replace")
    except OSError:
        return ""
