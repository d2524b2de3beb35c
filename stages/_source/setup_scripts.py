"""Decides what a `setup.py` asks for, without running it: every string in it that reads like a requirement counts."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.parsing import parse_text
from stages._source.patterns import late
from stages._source.requirements import Requirement, normalise, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stages._source.requirements import Role

_REQUIREMENT = late(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w, .-]*\])?\s*((===|==|~=|!=|<=|>=|<|>|@)\s*\S.*)?(;.*)?\Z")
_WANTED: Mapping[str, Role] = {
    "install_requires": "runtime",
    "extras_require": "extra",
    "tests_require": "development",
    "setup_requires": "build",
}
_FILE = "setup.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupScript:
    """What was read. `complete` is False where something is computed; `installs`: it states what an installation needs.

    `name` is the distribution's, "" where it is computed.
    """

    requirements: tuple[Requirement, ...] = ()
    complete: bool = True
    installs: bool = False
    name: str = ""


def read_setup(text: str) -> SetupScript:
    """Read the text of a setup script."""
    tree = parse_text(text)
    if tree is None:
        return SetupScript(complete=False)
    known = _constants(tree)
    found: list[Requirement] = []
    settled: set[int] = set()
    complete = True
    keywords = [item for node in ast.walk(tree) if isinstance(node, ast.Call) for item in node.keywords if item.arg]
    stated = {}
    for keyword in keywords:
        value = known.get(keyword.value.id, keyword.value) if isinstance(keyword.value, ast.Name) else keyword.value
        stated[keyword.arg] = value
        role = _WANTED.get(keyword.arg or "")
        if role is None:
            continue
        if not _is_literal(value):
            complete = complete and role == "build"
            continue
        settled |= {id(node) for node in ast.walk(value)}
        found += _of_literal(ast.literal_eval(value), role)
    found += [item for node in ast.walk(tree) if id(node) not in settled for item in _loose(node)]
    name = stated.get("name")
    return SetupScript(
        requirements=tuple(found),
        complete=complete,
        installs=complete and "install_requires" in stated,
        name=normalise(name.value) if isinstance(name, ast.Constant) and isinstance(name.value, str) else "",
    )


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what names stand for that the module binds once, and nothing changes afterwards."""
    bound: dict[str, list[ast.expr]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    bound.setdefault(target.id, []).append(node.value)
    uses: dict[str, int] = {}
    for item in ast.walk(tree):
        if isinstance(item, ast.Name):
            uses[item.id] = uses.get(item.id, 0) + 1
    return {name: values[0] for name, values in bound.items() if len(values) == 1 and uses[name] == 2}


def _of_literal(value: object, role: Role) -> Iterator[Requirement]:
    if isinstance(value, dict):
        for group, items in value.items():
            extra, _, marker = str(group).partition(":")  # the old way to write a marker
            for item in items if isinstance(items, list | tuple) else str(items).splitlines():
                yield from parse(
                    f"{item};{marker}" if marker else str(item), role if extra else "runtime", extra, _FILE
                )
    elif isinstance(value, str):
        for line in value.splitlines():
            yield from parse(line, role, "", _FILE)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from parse(str(item), role, "", _FILE)


def _loose(node: ast.AST) -> Iterator[Requirement]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        for item in node.elts:
            yield from _of_text(item)
    elif isinstance(node, ast.Constant) and re.search(r"[<>=~]=|\s@\s", str(node.value)):
        yield from _of_text(node)


def _of_text(node: ast.expr) -> Iterator[Requirement]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REQUIREMENT.match(node.value.strip()):
        yield from parse(node.value, "unknown", "", _FILE)


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return True
