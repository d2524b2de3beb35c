"""Brings the operators of the catalogue to `verify mutate`. Never runs what it reads."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stages._source.parsing import parse
from stages._source.testfiles import is_test_file
from stages.mutation import operators
from stages.mutation.autocasts import is_under_autocast
from stages.mutation.catalogue import ROWS, Row, Visible
from stages.mutation.code import Code
from verifier.api import Mutation, MutationOperator, SourceText, UneditableError, hookimpl

if TYPE_CHECKING:
    from verifier.api import SourceFile

Find = Callable[[Code], Iterable[Mutation]]
_CODES: WeakKeyDictionary[SourceFile, Code | None] = WeakKeyDictionary()


@hookimpl
def verifier_mutations() -> Iterable[MutationOperator]:
    known = makers()
    return [
        MutationOperator(name=row.name, does=row.does, codes=row.codes, find=partial(mutations, row, known[row.name]))
        for row in ROWS
    ]


@cache
def makers() -> dict[str, Find]:
    """Return what makes the mutations of each row.

    Raises:
        ImportError: a row has nothing that makes it, or a family brings what is no row.
    """
    found: dict[str, Find] = {}
    for info in pkgutil.iter_modules(operators.__path__):
        found |= importlib.import_module(f"{operators.__name__}.{info.name}").OPERATORS
    wrong = {row.name for row in ROWS} ^ set(found)
    if wrong:
        raise ImportError(f"the catalogue of mutants and its operators disagree about {', '.join(sorted(wrong))}")
    return found


def mutations(row: Row, find: Find, file: SourceFile) -> Iterator[Mutation]:
    """Yield the mutations of a file: each compiles, and its tree is not that of the file itself."""
    code = code_of(file)
    if code is None:
        return
    for found in find(code):
        try:
            text = code.source.edited(found.edits)
            compile(text, file.path, "exec", dont_inherit=True)
            same = ast.dump(ast.parse(text)) == code.dump
        except (UneditableError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # such a change cannot be made here: a `return` outside of a function, say
        if not same:
            yield replace(found, visible=_is_visible(row, code, found))


def code_of(file: SourceFile) -> Code | None:
    """Return a file as operators read it, or None where it cannot be edited."""
    if file not in _CODES:
        _CODES[file] = _code_of(file)
    return _CODES[file]


def _code_of(file: SourceFile) -> Code | None:
    if file.path.endswith(".pyi") or is_test_file(file.path) or not file.is_python or file.data is None:
        return None
    tree = parse(file)
    if tree is None:
        return None
    try:
        return Code(SourceText.of(file.data), tree)
    except UneditableError:
        return None


def _is_visible(row: Row, code: Code, found: Mutation) -> bool:
    if row.visible is Visible.UNDER_AUTOCAST:
        here = [node for node in code.nodes if isinstance(node, ast.stmt) and node.lineno == found.line]
        inside = [node for node in code.nodes if isinstance(node, ast.expr) and node.lineno == found.line]
        return any(is_under_autocast(code, node) for node in (here or inside))
    return row.visible is Visible.YES
