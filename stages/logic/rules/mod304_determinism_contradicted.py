"""MOD304: a program asks for deterministic results and undoes it beside."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.blocks import always_after
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD304",
    name="determinism-contradicted",
    severity=Severity.LOW,
    summary="A program asks for deterministic results and undoes it beside.",
    why=(
        "With `cudnn.benchmark` on, cuDNN times its algorithms in each run and takes the fastest, which noise decides:"
        " two runs with the same seed may differ although `cudnn.deterministic` is set. And `hash` of a text differs"
        " from process to process, so a seed that is made of it is no seed."
    ),
    examples=(
        Bad("""
            import torch

            def set_up(seed):
                torch.manual_seed(seed)
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = True  # expect: MOD304
        """),
        Bad("""
            import random

            def seed_of(name: str) -> None:
                random.seed(hash(name))  # expect: MOD304
        """),
        Good("""
            import torch

            def set_up(seed, fast):
                torch.manual_seed(seed)
                if fast:
                    torch.backends.cudnn.benchmark = True
                else:
                    torch.backends.cudnn.deterministic = True
                    torch.backends.cudnn.benchmark = False
        """),
    ),
)
WANTED = Wanted(
    torch=False,
    test=lambda data: (
        (b"cudnn.deterministic = True" in data and b"cudnn.benchmark = True" in data) or b"seed(hash(" in data
    ),
)
_SEEDS = ("seed", "manual_seed", "manual_seed_all", "seed_everything", "set_seed", "default_rng")


def look(view: View) -> Iterator[Problem]:
    """Report both settings where one always follows the other, and seeds made of `hash`."""
    for node in view.module.scopes.scopes:
        if isinstance(node, Function | ast.Module):
            yield from _settings(view, node.body)
    for seen in view.calls():
        match seen.node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[given]) if name in _SEEDS:
                if any(_hashes_text(item) for item in ast.walk(given)):
                    yield Problem(
                        place=view.place(seen.node),
                        message=f"`{ast.unparse(given)}` is another seed in each process: `hash` of a text is salted",
                        remedy="Use `zlib.crc32(text.encode())`.",
                    )


def _hashes_text(node: ast.AST) -> bool:
    """Tell the hash of a text, by its name or how it is made, from one of numbers, which is always the same."""
    match node:
        case ast.Call(func=ast.Name(id="hash"), args=[given]):
            made = isinstance(given, ast.JoinedStr) or ast.unparse(given).startswith("str(")
            literal = isinstance(given, ast.Constant) and isinstance(given.value, str)
            return made or literal or re.search(r"name|path|text|key|str", last_name(given).lower()) is not None
    return False


def _settings(view: View, body: list[ast.stmt]) -> Iterator[Problem]:
    made: dict[str, list[ast.Assign]] = {"deterministic": [], "benchmark": []}
    for item in own_nodes(body):
        match item:
            case ast.Assign(targets=[ast.Attribute(attr=name) as target], value=ast.Constant(value=value)):
                if name in made and ast.unparse(target).endswith(f"cudnn.{name}"):
                    made[name].append(item)
                    if value is not True:
                        made[name] = [*made[name][:-1]]
                        made.setdefault(f"{name} off", []).append(item)
    for fast in made["benchmark"]:
        for asked in made["deterministic"]:
            first, last = sorted((fast, asked), key=lambda item: item.lineno)
            off = [*made.get("benchmark off", []), *made.get("deterministic off", [])]
            if always_after(view, first, last) and not any(item.lineno > first.lineno for item in off):
                yield Problem(
                    place=view.place(fast),
                    message="`cudnn.benchmark` is turned on beside `cudnn.deterministic`: runs may differ all the same",
                    remedy="Set `torch.backends.cudnn.benchmark = False` where results are to be repeatable.",
                    related=((view.place(asked), "deterministic results are asked for here"),),
                )
                return
