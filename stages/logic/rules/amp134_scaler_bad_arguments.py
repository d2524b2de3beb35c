"""AMP134: a GradScaler is made or updated with a value with which it cannot work."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.constructors import bind, scalers
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stages._source.program.scopes import Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP134",
    name="scaler-bad-arguments",
    severity=Severity.CRITICAL,
    summary="A GradScaler is made or updated with a value with which it cannot work.",
    why=(
        "The constructor checks only that growth is above 1 and backoff below 1. An initial scale of 0 makes every"
        " parameter NaN at the first step, a negative one turns training around, and a whole number given to `update`"
        " raises."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            zero = torch.amp.GradScaler("cuda", init_scale=0)  # expect: AMP134
            unlimited = torch.cuda.amp.GradScaler(init_scale=float("inf"))  # expect: AMP134
            flagged = torch.amp.GradScaler(device=False)  # expect: AMP134
            never = torch.amp.GradScaler("cuda", growth_interval=0)  # expect: AMP134
            text = torch.amp.GradScaler("cuda", enabled="false")  # expect: AMP134
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self):
                    self.scaler = torch.amp.GradScaler("cuda", growth_factor=1.0)  # expect: AMP134

                def reset_scale(self):
                    self.scaler.update(1024)  # expect: AMP134
        """),
        Good("""
            import torch

            def build(args):
                scaler = torch.amp.GradScaler("cuda", init_scale=2**14, growth_interval=100, enabled=args.amp)
                fixed = torch.cuda.amp.GradScaler(128.0, growth_interval=10**9)
                off = torch.amp.GradScaler("cuda", init_scale=0, enabled=False)
                scaler.update(1024.0)
                fixed.update()
                return scaler, off
        """),
        Good("""
            from sklearn.preprocessing import StandardScaler
            from tqdm import tqdm

            def progress(rows):
                bar = tqdm(total=10)
                bar.update(1)
                scaler = StandardScaler(with_mean=False)
                return scaler.fit(rows)
        """),
    ),
)

_DEVICE = late(r"(?:cuda|cpu|xpu|mps|hpu|xla|npu|mtia|musa|mlu|sdaa|maia|privateuseone|meta)(?::\d+)?")
_LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "init_scale": (lambda value: 0 < value < math.inf, "a scale is a number above 0, and not infinite"),
    "growth_factor": (lambda value: 1 < value < math.inf, "the scale grows by a factor above 1"),
    "backoff_factor": (lambda value: 0 < value < 1, "the scale shrinks by a factor between 0 and 1"),
    "growth_interval": (lambda value: value >= 1, "the scale grows after at least one step"),
}


def _may_have(data: bytes) -> bool:
    return b"caler" in data or _UPDATE.search(data) is not None


_UPDATE = late(rb"update\s*\(\s*\d")
READS = Wanted(test=_may_have)


def inspect(view: View) -> Iterator[Problem]:
    """Look at every scaler that is made, and at every update that gives a scale."""
    for seen in view.calls():
        node = seen.node
        if not isinstance(node, ast.Call):
            continue
        if (node.args or node.keywords) and (signatures := scalers(view.origins(node.func, seen.scope))):
            bound = bind(node, signatures[0])
            given = dict(bound.positional) if len(signatures) == 1 else {}
            given |= {item.arg: item.value for item in node.keywords if item.arg is not None}
            if number(given.get("enabled")) != 0:
                yield from _of_arguments(view, node, given, {id(value) for _, value in bound.positional})
        elif _updates(view, seen):
            yield Problem(
                place=view.place(node),
                message=f"{ast.unparse(node)} gives the scaler a whole number",
                why="`update` takes a float or a tensor; anything else is asked for its device: AttributeError.",
                remedy=f"Write the scale as a float: `{ast.unparse(node.func)}({ast.unparse(node.args[0])}.0)`.",
            )


def number(node: ast.expr | None) -> float | None:
    """Return the value of a literal, flags as 0 and 1."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = number(inner)
            return None if found is None else -found
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as text)]) if "inf" in text.lower():
            return math.inf
        case ast.Attribute(value=ast.Name(id="math" | "np" | "numpy" | "torch"), attr="inf"):
            return math.inf
    return None


def _of_arguments(view: View, call: ast.Call, given: dict[str, ast.expr], by_position: set[int]) -> Iterator[Problem]:
    for parameter, argument in given.items():
        said = _complaint(parameter, argument, positional=id(argument) in by_position)
        if said:
            yield Problem(
                place=view.place(call),
                message=f"`{parameter}` of this GradScaler is {ast.unparse(argument)}: {said}",
                why="The scaler is made all the same; training is silently wrong, or raises later.",
                remedy="Leave the argument out, or give it a value within its limits.",
            )
            return


def _complaint(parameter: str, argument: ast.expr, *, positional: bool) -> str:
    value = argument.value if isinstance(argument, ast.Constant) else None
    if parameter in _LIMITS:
        if isinstance(value, bool | str):
            return "" if positional else _LIMITS[parameter][1]  # AMP703 says so of what stands at a position
        found = number(argument)
        within, said = _LIMITS[parameter]
        return "" if found is None or within(found) else said
    if parameter == "device" and not positional and isinstance(value, bool | int | float):
        return "a device is named by a text"
    if parameter == "device" and isinstance(value, str) and not _DEVICE.fullmatch(value):
        return "there is no such device"
    if parameter == "enabled" and isinstance(value, str):
        return "any text but an empty one turns it on"
    return ""


def _updates(view: View, seen: Seen) -> bool:
    node = seen.node
    match node:
        case ast.Call(func=ast.Attribute(attr="update", value=owner), args=[ast.Constant(value=int() as value)]) if (
            not isinstance(value, bool)
        ):
            return view.kinds.is_scaler(owner, seen.scope, view.module)
    return False
