"""AMP313: A matrix decomposition gets a half tensor."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import origins
from stages.logic.dtypes.wording import because
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP313",
    name="lowp-linalg",
    severity=Severity.MEDIUM,
    summary="A matrix decomposition gets a half tensor.",
    why=(
        "`inv`, `solve`, `svd`, `cholesky` and their like are not implemented for half types and raise. CPU's"
        " autocast widens them, CUDA's does not, so a test on a CPU does not show it."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def whiten(x):
                with torch.autocast("cuda", dtype=torch.float16):
                    cov = x.mT @ x
                    return torch.linalg.cholesky(cov)  # expect: AMP313
        """),
        Good("""
            import torch

            def whiten(x):
                with torch.autocast("cuda", dtype=torch.float16):
                    cov = x.mT @ x
                    return torch.linalg.cholesky(cov.float()), torch.linalg.norm(cov), torch.inverse(x)
        """),
    ),
)
_LINALG = late(
    r"torch\.linalg\.(?:inv|inv_ex|solve|svd|svdvals|eigh?|eigvalsh?|cholesky|cholesky_ex|qr|lstsq|pinv|det|slogdet)"
    r"|torch\.(?:inverse|svd|cholesky|det|logdet|slogdet|pinverse|qr|lu_solve|cholesky_solve|triangular_solve)"
)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report decompositions of tensors known to be half."""
    for node in list(unit.known):
        if not isinstance(node, ast.Call) or not node.args or not unit.at(node.args[0]).low:
            continue
        name = next((name for name in origins(project, node.func, unit.scope) if _LINALG.fullmatch(name)), None)
        if name is not None:
            yield Problem(
                place=Place(unit.module, node),
                message=f"`{name}` is not implemented for half, and `{ast.unparse(node.args[0])}` is half here",
                remedy="Widen the input with `.float()`, and cast the result back.",
                related=because(unit, node.args[0]),
            )
