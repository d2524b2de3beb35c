"""AMP308: Indices are kept in half precision, which cannot tell them apart."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages.logic.dtypes.numbers import number_of
from stages.logic.engine.place import Place
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Project
    from stages.logic.dtypes.known import Unit

RULE = RuleInfo(
    code="AMP308",
    name="lowp-index-arange",
    severity=Severity.HIGH,
    summary="Indices are kept in half precision, which cannot tell them apart.",
    why=(
        "float16 holds every integer up to 2048 and bfloat16 up to 256: of 4096 positions 3073 and 769 stay"
        " distinct, and float16 is infinite beyond 65504. Nothing raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def positions(x):
                return torch.arange(4096, dtype=torch.float16, device=x.device)  # expect: AMP308

            def steps():
                return torch.arange(0, 1000).to(torch.bfloat16) / 1000  # expect: AMP308
        """),
        Bad("""
            import torch

            def table(x, max_seq_len):
                x = x.half()
                t = torch.arange(max_seq_len, device=x.device, dtype=x.dtype)  # expect: AMP308
                return t
        """),
        Bad("""
            import deepspeed
            import torch

            class Rotary(torch.nn.Module):
                def forward(self, x, seq_len=None):
                    t = torch.arange(seq_len, device=x.device).type_as(self.inv_freq)  # expect: AMP308
                    return torch.outer(t, self.inv_freq)

            def engine_of(model):
                return deepspeed.initialize(model=model, config={"fp16": {"enabled": True}})[0]
        """),
        Good("""
            import torch

            def positions(x, dim, max_seq_len):
                x = x.half()
                small = torch.arange(128, dtype=torch.float16)
                even = torch.arange(0, dim, 2, dtype=torch.float16)
                whole = torch.arange(max_seq_len)
                wide = torch.arange(4096, dtype=torch.float32)
                waves = torch.arange(4096).float().cos().to(x.dtype)
                return small, even, whole, wide, waves

            def unknown(lengths, max_seq_len):
                return torch.arange(max_seq_len, dtype=lengths.dtype)
        """),
    ),
)
_LARGEST = {"float16": 2048, "bfloat16": 256, "low": 2048}
_LENGTHS = late(
    r"(?:\w+_)?(?:seq_?len\w*|max_len\w*|length|max_positions?\w*|n_positions|num_positions|timesteps|n_ctx|T)"
)


SUSPECTS = "low"


def judge(project: Project, unit: Unit) -> Iterator[Problem]:
    """Report ranges that are made in, or cast to, a half type that does not hold all of their numbers."""
    for node, known in list(unit.known.items()):
        if not isinstance(node, ast.Call) or not known.positions:
            continue
        if not (known.low and known.since is node) and not (unit.suspected and _is_like_frequencies(unit, node)):
            continue
        made = next((part for part in ast.walk(node) if isinstance(part, ast.Call) and _is_range(part)), None)
        if made is None or (made is not node and unit.at(made).dtype != "int"):
            continue
        last = made.args[1] if len(made.args) > 1 else made.args[0]
        number = number_of(project, last, unit.scope)
        named = _LENGTHS.fullmatch(last_name(last)) is not None
        largest = _LARGEST.get(known.dtype, 2048)
        if (number is None and not named) or (number is not None and number - 1 <= largest):
            continue
        dtype = known.dtype if known.dtype in ("float16", "bfloat16") else "half precision"
        how = f"takes on the {dtype} of its caller or model" if unit.suspected else f"is in {dtype}"
        yield Problem(
            place=Place(unit.module, node),
            message=f"`{ast.unparse(made)}` {how}, which holds whole numbers to {largest} only",
            remedy="Keep indices as integers or float32, and cast what is computed from them.",
            suspicion=number is None,
        )


def _is_range(call: ast.Call) -> bool:
    return last_name(call.func) == "arange" and bool(call.args)


def _is_like_frequencies(unit: Unit, call: ast.Call) -> bool:
    """Say whether a range gets the dtype of a buffer of frequencies, which is half in a model that was cast to half."""
    if unit.region.low or unit.region_at(call).dtype == "off" or unit.at(call).dtype:
        return False
    given = [*call.args, *(item.value for item in call.keywords if item.arg == "dtype")]
    named = [item.value if isinstance(item, ast.Attribute) and item.attr == "dtype" else item for item in given]
    return any(isinstance(item, ast.Attribute) and "freq" in item.attr for item in named)
