"""Decides how bad it is to load something that can run code, by where it comes from."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages.security.flows import Source, fetched_from, is_downloaded, sources
from verifier.api import Severity

if TYPE_CHECKING:
    from stages._source.program.scopes import Scope
    from stages.security.view import View


def how_bad(
    view: View,
    node: ast.expr | None,
    scope: Scope,
    *,
    unknown: Severity,
    command_line: Severity,
    fixed: Severity = Severity.INFO,
) -> Severity:
    """Return the severity of running what is read from a file or a text.

    Args:
        unknown: where it comes from a caller, or nobody can tell.
        command_line: where the command line names it.
        fixed: where the code itself names the place, and it is no address.
    """
    if node is None:
        return unknown
    if is_downloaded(view, node, scope):
        return Severity.MEDIUM if _is_named_safely(view, node, scope) else Severity.HIGH
    found = sources(view, node, scope)
    if Source.COMMAND_LINE in found:
        return command_line
    return fixed if found == {Source.FIXED} else unknown


def origin_of(view: View, node: ast.expr | None, scope: Scope) -> str:
    """Say where it comes from, to follow the word "from"."""
    if node is None:
        return Source.UNKNOWN.value
    if is_downloaded(view, node, scope):
        named = _is_named_safely(view, node, scope)
        return "an address that the code names" if named else "an address that others decide"
    found = sources(view, node, scope)
    if found == {Source.FIXED}:
        return Source.FIXED.value
    order = (Source.COMMAND_LINE, Source.ENVIRONMENT, Source.PARAMETER)
    return next((source.value for source in order if source in found), Source.UNKNOWN.value)


def _is_named_safely(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether the code itself names the repository, or an address that nobody can change on the way."""
    addresses = fetched_from(view, node, scope)
    return bool(addresses) and all(
        sources(view, address, where) == {Source.FIXED} and not _is_plain(address) for address, where in addresses
    )


def _is_plain(address: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.startswith(("http://", "ftp://"))
        for part in ast.walk(address)
    )
