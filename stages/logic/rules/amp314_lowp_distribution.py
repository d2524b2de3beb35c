"""AMP314: log probabilities or ratios of policies are computed from half logits."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
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
    code="AMP314",
    name="lowp-distribution",
    severity=Severity.MEDIUM,
    summary="Log probabilities or ratios of policies are computed from half logits.",
    why=(
        "Log probabilities, ratios and KL divergences are differences of numbers that are almost the same; in "
        "bfloat16 most of such a difference is rounding, and a ratio that should be 1 is 0.99 or 1.01 at random. Make "
        "the logits float32 first. How much of it matters depends on the numbers, so the code alone gives a suspicion."
    ),
    mode="static",
    unseen=(
        "Which numbers are log probabilities only their names in the text say; a run sees a difference and "
        "an exponential."
    ),
    examples=(
        Bad("""
            import torch
            from torch.distributions import Categorical

            def act(w, observation):
                logits = observation.bfloat16() @ w.bfloat16()
                return Categorical(logits=logits).log_prob(torch.zeros(1))  # expect: AMP314
        """),
        Bad("""
            import torch

            def ratio(w, x, old):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    logprobs = x @ w
                old_logprobs = old.bfloat16()
                return torch.exp(logprobs - old_logprobs)  # expect: AMP314
        """),
        Good("""
            import torch
            from torch.distributions import Categorical, Normal

            def act(w, x, old):
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    logits = x @ w
                    inside = Categorical(logits=logits)
                logprobs = torch.log_softmax(logits.float(), -1)
                shifted = torch.exp(logits - logits.max())
                return Categorical(logits=logits.float()), torch.exp(logprobs - old), Normal(x, 1.0), inside, shifted
        """),
    ),
)
_OF_POLICY = late(r"log_?p(?:robs?|i)?(?![a-z])|logprob", re.I)


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Doubt distributions and ratios that are made of half tensors where no autocast widens."""
    if unit.region.assumed:
        return
    for call in list(unit.known):
        if not isinstance(call, ast.Call) or unit.region_at(call).low:
            continue
        found = _of_distribution(project, unit, call) or _of_ratio(unit, call)
        if found is not None:
            yield Problem(
                place=Place(unit.module, call),
                message=f"`{ast.unparse(found)}` is half precision here, and what is computed from it as well",
                remedy="Make it float32 first: `logits.float()`.",
                related=because(unit, found),
                suspicion=True,
            )


def _of_distribution(project: Project, unit: Unit, call: ast.Call) -> ast.expr | None:
    """Return the half argument of a distribution that is made."""
    if not any(
        name.startswith("torch.distributions.") and name.rpartition(".")[2][:1].isupper()
        for name in origins(project, call.func, unit.scope)
    ):
        return None
    given = [*call.args, *(item.value for item in call.keywords)]
    return next((value for value in given if unit.at(value).low), None)


def _of_ratio(unit: Unit, call: ast.Call) -> ast.expr | None:
    """Return the half difference of log probabilities that an exponential is taken of."""
    if last_name(call.func) != "exp":
        return None
    given = [*call.args, *([call.func.value] if isinstance(call.func, ast.Attribute) else [])]
    for value in given:
        if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Sub) or not unit.at(value).low:
            continue
        if any(_OF_POLICY.search(ast.unparse(part)) for part in (value.left, value.right)):
            return value
    return None
