"""Decides what a file says of its conventions: indentation, names, docstrings, annotations. Facts, and one finding."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.notebooks import cells_of
from stages._source.parsing import parse
from stages._source.patterns import late
from stages._source.testfiles import is_test_file
from verifier.api import Evidence, Finding, Location, Related, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from verifier.api import Json, SourceFile

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SNAKE = late(r"_*[^\WA-Z]*(?:_+[^\WA-Z]*)*\Z")
_CAMEL = late(r"_*[A-Z][A-Za-z0-9]*\Z")
_GIVEN = frozenset(["setUp", "tearDown", "setUpClass", "tearDownClass", "setUpModule", "tearDownModule"])
_LISTED = 20  # names and places kept of one file


@dataclass(frozen=True, slots=True)
class Conventions:
    """Of every file that parses: its row, and a finding where its indentation mixes tabs and spaces."""

    rows: tuple[Json, ...]
    findings: tuple[Finding, ...]


def conventions(files: Iterable[SourceFile]) -> Conventions:
    rows: list[Json] = []
    findings: list[Finding] = []
    for file in files:
        tree = parse(file) if not cells_of(file) else None  # a notebook offers nothing to other modules
        if tree is None:
            continue
        indents = _indents(tree, file.text_lines)
        rows.append(_row(file.path, tree, indents))
        found = _mixed(file.path, indents)
        findings += [found] if found is not None else []
    return Conventions(tuple(rows), tuple(findings))


def _row(path: str, tree: ast.Module, indents: Sequence[tuple[int, str]]) -> dict[str, Json]:
    public = list(_public(tree.body))
    functions = [node for node in public if isinstance(node, Function)]
    return {
        "path": path,
        "test": is_test_file(path),
        "functions": len(functions),
        "classes": len(public) - len(functions),
        "docstrings": sum(ast.get_docstring(node, clean=False) is not None for node in public),
        "annotated": sum(_is_annotated(node) for node in functions),
        "module_docstring": ast.get_docstring(tree, clean=False) is not None,
        "indent": _indent(indents),
        "naming": list(_unusual(tree))[:_LISTED],
    }


def _public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield what others may use: functions, classes, and the methods of these, whose names begin without underscore."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (item for item in _public(node.body) if isinstance(item, Function))
        elif isinstance(node, ast.If | ast.Try):
            yield from _public(node.body)
            yield from _public(node.orelse)


def _is_annotated(node: Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args]
    if arguments and arguments[0].arg in ("self", "cls"):
        arguments = arguments[1:]
    arguments += [*node.args.kwonlyargs, *(item for item in (node.args.vararg, node.args.kwarg) if item is not None)]
    return node.returns is not None and all(item.annotation is not None for item in arguments)


def _unusual(tree: ast.Module) -> Iterator[Json]:
    """Yield functions not written in snake_case and classes not in CamelCase, but for those whose name is given."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            given = node.name in _GIVEN or node.name.startswith(("visit_", "do_", "test"))
            kind, fits = "function", given or _SNAKE.match(node.name) is not None
        elif isinstance(node, ast.ClassDef):
            kind, fits = "class", _CAMEL.match(node.name) is not None
        else:
            continue
        if not fits:
            yield {"kind": kind, "name": node.name, "line": node.lineno}


def _indents(tree: ast.Module, lines: Sequence[str]) -> list[tuple[int, str]]:
    """Return, for each block that begins on a line of its own, that line and what it is indented by."""
    found = []
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if not isinstance(block, list) or not block or isinstance(node, ast.Module):
                continue
            outer, inner = _leading(lines, node), _leading(lines, block[0])
            if outer is None or inner is None or block[0].lineno == getattr(node, "lineno", 0):
                continue
            if inner.startswith(outer) and len(inner) > len(outer):
                found.append((block[0].lineno, inner[len(outer) :]))
    return sorted(set(found))


def _leading(lines: Sequence[str], node: ast.AST) -> str | None:
    """Return the white space before a node, or None where something else precedes it on its line."""
    line = getattr(node, "lineno", 0)
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    before = text[: len(text) - len(text.lstrip(" \t\f"))]
    return before.replace("\f", "") if len(before.encode()) >= getattr(node, "col_offset", 0) else None


def _unit(text: str) -> str:
    if set(text) == {" "}:
        return f"{len(text)} spaces" if len(text) > 1 else "1 space"
    return "tab" if set(text) == {"\t"} else "mixed"


def _indent(indents: Sequence[tuple[int, str]]) -> str:
    """Name the unit of indentation; where blocks differ, every unit with the number of its blocks."""
    units = Counter(_unit(text) for _, text in indents).most_common()
    if len(units) < 2:
        return units[0][0] if units else ""
    return ", ".join(f"{unit} in {count} blocks" if count > 1 else f"{unit} in 1 block" for unit, count in units)


def _mixed(path: str, indents: Sequence[tuple[int, str]]) -> Finding | None:
    tabs = [line for line, text in indents if "\t" in text]
    spaces = [line for line, text in indents if " " in text]
    if not tabs or not spaces:
        return None
    usual, rare = ("spaces", tabs) if len(spaces) >= len(tabs) else ("tabs", spaces)
    other = "tabs" if usual == "spaces" else "spaces"
    return Finding(
        rule="LNT002",
        severity=Severity.INFO,
        message=f"Blocks are indented with {usual}, and from here with {other}",
        location=Location(path=path, line=rare[0]),
        related=tuple(
            Related(location=Location(path=path, line=line), message=f"{other} here too")
            for line in rare[1 : _LISTED + 1]
        ),
        evidence=(
            Evidence(
                kind="source",
                summary=f"{len(spaces)} blocks begin with spaces, {len(tabs)} with tabs",
                data={"spaces": len(spaces), "tabs": len(tabs)},
            ),
        ),
        remediation=f"Indent the whole file with {usual}.",
    )
