"""SEC602: everybody on the machine may change what is written, checkpoints among it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.problem import Problem
from stages.security.view import argument, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC602",
    name="world-writable",
    severity=Severity.MEDIUM,
    summary="Everybody on the machine may change what is written, checkpoints among it.",
    why=(
        "A checkpoint that somebody else can replace is code that somebody else can run, as soon as it is unpickled."
        " Clusters share file systems among all of their users."
    ),
    examples=(
        Bad("""
            import os
            import stat
            from pathlib import Path


            def share(path):
                os.umask(0)  # expect: SEC602
                os.chmod(path, 0o777)  # expect: SEC602
                Path(path).chmod(0o666)  # expect: SEC602
                os.chmod(path, stat.S_IRUSR | stat.S_IWOTH)  # expect: SEC602
        """),
        Good("""
            import os
            from pathlib import Path


            def share(path):
                os.umask(0o022)
                os.chmod(path, 0o755)
                Path(path).chmod(0o664)
                os.makedirs(path, mode=0o777, exist_ok=True)
                old = os.umask(0)
                os.umask(old)
        """),
    ),
)
WANTED = Wanted(torch=False, some=(b"chmod", b"umask"))
_OTHERS_WRITE = 0o002


def look(view: View) -> Iterator[Problem]:
    """Report literal modes; a mask that is only read, by setting and restoring it, is none."""
    for call, scope in view.calls():
        if not isinstance(call.func, ast.Attribute | ast.Name):
            continue
        names = view.names(call.func, scope)
        if "os.umask" in names:
            mask = _number(view, call.args[0], scope) if call.args else None
            if mask is not None and not mask & _OTHERS_WRITE and isinstance(view.parent(call), ast.Expr):
                yield _problem(call, f"`{shown(call)}` lets everybody write what the process makes from here on")
        elif "os.chmod" in names or (isinstance(call.func, ast.Attribute) and call.func.attr == "chmod"):
            given = argument(call, "mode", 1 if "os.chmod" in names else 0)
            mode = _number(view, given, scope) if given is not None else None
            if mode is not None and mode & _OTHERS_WRITE:
                yield _problem(call, f"`{shown(call.func)}` with mode {mode:#o} lets everybody write to it")


def _number(view: View, node: ast.expr, scope: Scope) -> int | None:
    """Return the value of a literal mode, or of flags of `stat` that are joined; None where something is unknown."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            parts = [_number(view, part, scope) for part in (left, right)]
            known = [part for part in parts if part is not None]
            return known[0] | known[-1] if known else None
        case ast.Attribute() | ast.Name():
            names = view.names(node, scope)
            return _OTHERS_WRITE if names & {"stat.S_IWOTH", "stat.S_IRWXO"} else 0 if names else None
    return None


def _problem(call: ast.Call, message: str) -> Problem:
    return Problem(
        node=call, message=message, remedy="Give the group what it needs: 0o660 for files, 0o770 for folders."
    )
