"""Writes a call anew with other arguments, each argument as it stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.mutation.changes import replaced

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from stages.mutation.code import Code
    from verifier.api import Edit


def rewritten(
    code: Code,
    call: ast.Call,
    *,
    func: str | None = None,
    args: Sequence[str] | None = None,
    without: Sequence[str] = (),
    **set_to: str,
) -> str:
    """Return the text of a call with another function, other positional arguments, or keywords left out or set."""
    given = [code.text(item) for item in call.args] if args is None else list(args)
    kept = [code.text(item) for item in call.keywords if item.arg not in (*without, *set_to)]
    new = [f"{name}={value}" for name, value in set_to.items()]
    return f"{func or code.text(call.func)}({', '.join([*given, *kept, *new])})"


def with_arguments(
    code: Code,
    call: ast.Call,
    *,
    func: str | None = None,
    args: Sequence[str] | None = None,
    without: Sequence[str] = (),
    **set_to: str,
) -> Edit:
    """Put the same call with other arguments in its place."""
    return replaced(code, call, rewritten(code, call, func=func, args=args, without=without, **set_to))
