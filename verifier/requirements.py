"""Reads the `requirements` of a task: which figure must lie on which side of what, and on which device."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifier.model.requirement import ANY_DEVICE, Bound, Operator, Requirement
from verifier.nearest import suggestion

DEVICES = ("cuda", "cpu", "mps", "xpu", ANY_DEVICE)
_ONLY = "only"
_BOUND = re.compile(r"\s*(?P<operator>>=|<=|>|<)\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[^\d\s].*?)?\s*\Z")
_MOST = 1e12
Problem = Callable[[tuple[str, ...], str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a requirement may say: which side, in which units, and which numbers make sense.

    Args:
        below: the number must be smaller than this, or with `reaches` at most this.
    """

    floor: bool
    units: tuple[str, ...]
    example: str
    below: float = _MOST
    reaches: bool = True


REQUIREMENTS: Mapping[str, _Kind] = {
    "speedup": _Kind(floor=True, units=("", "x"), example=">=1.5"),
    "memory-reduction": _Kind(floor=True, units=("%", ""), example=">=40%", below=1, reaches=False),
    "accuracy-difference": _Kind(floor=False, units=("", "%"), example="<0.01", below=1),
    "loss-difference": _Kind(floor=False, units=("",), example="<0.05"),
    "throughput": _Kind(floor=True, units=("steps/s", "samples/s"), example=">=20 steps/s"),
    "roofline-share": _Kind(floor=True, units=("%", ""), example=">=30%", below=1),
    "compile-speedup": _Kind(floor=True, units=("", "x"), example=">=1.2"),
    "regression": _Kind(floor=False, units=("%", ""), example="<=5%", below=1),
}


def read_requirements(
    value: object, measured: Sequence[str], line: Callable[[str], int], problem: Problem
) -> tuple[Requirement, ...]:
    """Read the table; what is wrong with it is told to `problem`, with the keys below the table.

    Args:
        measured: the workloads and scripts of the task.
        line: of the configuration on which a requirement is written.
    """
    if not isinstance(value, Mapping):
        problem((), f'must be a table: {{ speedup = "{REQUIREMENTS["speedup"].example}" }}')
        return ()
    if value and not measured:
        problem((), "the task declares no workloads and no scripts, so nothing can be measured; declare one")
    found = []
    for name, said in value.items():
        kind = REQUIREMENTS.get(name)
        if kind is None:
            problem((name,), f"there is no such requirement{suggestion(name, REQUIREMENTS)}")
            continue
        bounds, only = _read(name, said, kind, measured, problem)
        if bounds:
            found.append(Requirement(name=name, bounds=bounds, only=only, line=line(name)))
    return tuple(found)


def _read(
    name: str, said: object, kind: _Kind, measured: Sequence[str], problem: Problem
) -> tuple[dict[str, Bound], tuple[str, ...]]:
    if not isinstance(said, Mapping):
        bound = _bound((name,), said, kind, problem)
        return ({} if bound is None else {ANY_DEVICE: bound}), ()
    bounds = {}
    for device, text in said.items():
        if device == _ONLY:
            continue
        if device not in DEVICES:
            problem((name, device), f"is no kind of device{suggestion(device, (*DEVICES, _ONLY))}")
        elif (bound := _bound((name, device), text, kind, problem)) is not None:
            bounds[device] = bound
    if not said.keys() - {_ONLY}:
        problem((name,), f'names no bound; write {{ any = "{kind.example}" }} or {{ cuda = "{kind.example}" }}')
    return bounds, _only(name, said.get(_ONLY, []), measured, problem)


def _only(name: str, value: Any, measured: Sequence[str], problem: Problem) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problem((name, _ONLY), "must be a list of workloads and scripts of the task")
        return ()
    for item in value:
        if item not in measured:
            problem((name, _ONLY), f'"{item}" is no workload or script of the task{suggestion(item, measured)}')
    return tuple(dict.fromkeys(value))


def _bound(keys: tuple[str, ...], said: object, kind: _Kind, problem: Problem) -> Bound | None:
    """Read `>=1.5`, `< 1 %`, `>= 20 steps/s`; None after a problem."""
    match = _BOUND.match(said) if isinstance(said, str) else None
    if match is None:
        problem(keys, f'{said!r} is no bound; write an operator and a number, such as "{kind.example}"')
        return None
    unit = match["unit"] or ""
    sentence = _wrong(match["operator"], unit, kind)
    value = float(match["number"]) / (100 if unit == "%" else 1)
    if sentence is None:
        sentence = _out_of_range(value, kind)
    if sentence is not None:
        problem(keys, f"{said!r}: {sentence}")
        return None
    operator: Operator = match["operator"]  # type: ignore[assignment]  # the pattern allows no other
    return Bound(operator=operator, value=value, unit=unit, text=" ".join(str(said).split()))


def _wrong(operator: str, unit: str, kind: _Kind) -> str | None:
    if operator.startswith(">") is not kind.floor:
        side = "at least" if kind.floor else "at most"
        return f'it asks for {side} a number, with {">=" if kind.floor else "<"}, such as "{kind.example}"'
    if unit not in kind.units:
        units = " or ".join(f"`{known}`" if known else "no unit" for known in kind.units)
        return f'the unit is {units}, such as "{kind.example}"'
    return None


def _out_of_range(value: float, kind: _Kind) -> str | None:
    if not value > 0:
        return "a bound of 0 asks for nothing, or for what no measurement shows; give a larger one"
    if not math.isfinite(value) or value > kind.below or (value == kind.below and not kind.reaches):
        most = f"a share {'up to' if kind.reaches else 'below'} 1; 40 % is 0.4 or 40%"
        return f"it is {most}" if kind.below == 1 else "no measurement reaches that"
    return None
