"""The rule HSE002, which joins the stage `syntax`: it is asked once for every Python file."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from verifier.api import Bad, Evidence, Finding, Good, Location, Rule, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifier.api import SourceFile

INFO = RuleInfo(
    code="HSE002",
    name="print-in-training-code",
    severity=Severity.LOW,
    summary="A module prints instead of logging.",
    why="In distributed training every rank prints, the lines mix, and no tracker keeps them.",
    examples=(
        Bad("""
            def report(loss):
                print(loss)  # expect: HSE002
        """),
        Good("""
            import logging

            def report(loss):
                logging.getLogger(__name__).info("loss %s", loss)
        """),
    ),
)


def check(file: SourceFile) -> Iterator[Finding]:
    """Yield a finding for every call of the builtin `print`."""
    try:
        tree = ast.parse(file.data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # the stage itself says so
    if any(map(_binds, ast.walk(tree))):
        return  # it is not the builtin
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield Finding(
                rule=INFO.code,
                severity=INFO.severity,
                message="`print` in training code",
                location=Location(path=file.path, line=node.lineno, column=node.col_offset + 1),
                symbol="print",
                evidence=(Evidence(kind="source", summary=f"line {node.lineno} calls print()"),),
                remediation='Use `logging.getLogger(__name__).info("loss %s", loss)`.',
            )


def _binds(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="print", ctx=ast.Store()) | ast.FunctionDef(name="print") | ast.arg(arg="print"):
            return True
        case ast.alias(name="print", asname=None) | ast.alias(asname="print"):
            return True
    return False


RULE = Rule(info=INFO, stage="syntax", check=check)
