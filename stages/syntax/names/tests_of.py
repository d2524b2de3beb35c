"""Decides what the test of an `if` says before anything runs: constant, for type checkers only, or about versions."""

from __future__ import annotations

import ast
import re
import sys
from typing import Literal

from stages._source.patterns import late
from stages._source.walking import walk

Truth = Literal["true", "false", "types", "not-types", "unknown"]

_VERSION_NAME = late(r"(is_?|not_?)?_?py(thon)?_?[23]\d*$|version_info$|python_version$|hexversion$", re.IGNORECASE)
_MENTION = late(rb"py(thon)?_?[23]|version_info|python_version|hexversion", re.IGNORECASE)
_CATCHES_NAME_ERROR = frozenset({"NameError", "UnboundLocalError"})
_CATCHES_ALL = frozenset({"Exception", "BaseException"})


def truth(test: ast.expr) -> Truth:
    """Return what a test is worth at run time; "types": true for type checkers only."""
    if isinstance(test, ast.Constant):
        return "true" if test.value else "false"
    if isinstance(test, ast.Name):
        return {"TYPE_CHECKING": "types", "MYPY": "types", "__debug__": "true"}.get(test.id, "unknown")  # type: ignore[return-value]
    if isinstance(test, ast.Attribute):
        return "types" if test.attr == "TYPE_CHECKING" else "unknown"
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inverse: dict[Truth, Truth] = {"true": "false", "false": "true", "types": "not-types", "not-types": "types"}
        return inverse.get(truth(test.operand), "unknown")
    if isinstance(test, ast.BoolOp):
        return _joined([truth(value) for value in test.values], all_of=isinstance(test.op, ast.And))
    return "unknown"


def _joined(parts: list[Truth], *, all_of: bool) -> Truth:
    decisive: Truth = "false" if all_of else "true"
    if decisive in parts:
        return decisive
    if all_of and "types" in parts:
        return "types"
    if not all_of and "not-types" in parts:
        return "not-types"
    return parts[0] if len(set(parts)) == 1 else "unknown"


def runs(verdict: Truth) -> bool | None:
    """Return whether a test holds at run time; None where that is not known."""
    return {"true": True, "not-types": True, "false": False, "types": False}.get(verdict)


def mentions_versions(data: bytes) -> bool:
    """Return whether any test of a file can be about versions of Python."""
    return _MENTION.search(data) is not None


def about_versions(test: ast.expr) -> bool:
    """Return whether a test asks which Python this is."""
    for node in walk(test):
        word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if word and _VERSION_NAME.match(word):
            return True
    return False


def excluded_version(test: ast.expr) -> bool | None:
    """Return what `sys.version_info <op> (…)` is worth on this Python, or None for any other test."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return None
    left, right = test.left, test.comparators[0]
    if isinstance(left, ast.Subscript) and isinstance(left.slice, ast.Constant) and left.slice.value == 0:
        left, right = left.value, ast.Tuple([right], ast.Load())
    if not (isinstance(left, ast.Attribute) and left.attr == "version_info" and isinstance(right, ast.Tuple)):
        return None
    wanted = tuple(item.value for item in right.elts if isinstance(item, ast.Constant) and type(item.value) is int)
    if len(wanted) != len(right.elts):
        return None
    here = tuple(sys.version_info[: len(wanted)]) if isinstance(test.ops[0], ast.Eq) else tuple(sys.version_info[:3])
    compare = {
        ast.GtE: here >= wanted,
        ast.Gt: here > wanted,
        ast.Lt: here < wanted,
        ast.LtE: here <= wanted,
        ast.Eq: here == wanted,
    }
    return compare.get(type(test.ops[0]))


def expects_old_python(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler catches what a missing module or builtin raises, as code for two Pythons does."""
    words = {part.id for part in walk(handler.type) if isinstance(part, ast.Name)} if handler.type else set()
    return not words.isdisjoint({"ImportError", "ModuleNotFoundError", "NameError", "AttributeError"})


def catches(handlers: list[ast.ExceptHandler]) -> Literal["names", "all", "some"]:
    """Return whether handlers catch NameError by name, every exception, or neither."""
    found: Literal["names", "all", "some"] = "some"
    for handler in handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            word = kind.id if isinstance(kind, ast.Name) else kind.attr if isinstance(kind, ast.Attribute) else ""
            if word in _CATCHES_NAME_ERROR:
                return "names"
            if kind is None or word in _CATCHES_ALL:
                found = "all"
    return found
