"""Decides how a test asks what a program's expressions are: it calls `probe(expression)` in the program."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

from stages._source.program.project import Project, read_project
from stages.logic.dtypes.program import Dtypes, read_dtypes

if TYPE_CHECKING:
    from stages.logic.dtypes.known import Known, Unit


def project_of(files: dict[str, str]) -> Project:
    texts = {path: textwrap.dedent(text) for path, text in files.items()}
    return read_project((path, ast.parse(text), text.splitlines()) for path, text in texts.items())


def dtypes_of(code: str, **others: str) -> Dtypes:
    """Read a program, the functions of `example.py` that name a low precision first."""
    project = project_of({"example.py": code} | {f"{name}.py": text for name, text in others.items()})
    start = project.module("example.py")
    assert start is not None
    return read_dtypes(project, [start])


def probed(code: str, **others: str) -> list[str]:
    """Return the dtype of every probed expression, in the order of reading."""
    return [known.dtype for unit in dtypes_of(code, **others).units for known in _probes(unit)]


def probe(expression: str, *, around: str = 'torch.autocast("cuda", dtype=torch.float16)') -> Known:
    """Return what an expression is in a function of `x`, `w` and `n`, under an autocast."""
    code = f"""
        import math
        import torch
        from torch import nn
        import torch.nn.functional as F

        def example(x, w, mask, n):
            with {around}:
                half = x @ w
                wide = half.float()
                whole = torch.arange(n)
                probe({expression})
    """
    (found,) = (known for unit in dtypes_of(code).units for known in _probes(unit))
    return found


def _probes(unit: Unit) -> list[Known]:
    return [
        unit.at(node.args[0])
        for node in unit.known
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "probe"
    ]
