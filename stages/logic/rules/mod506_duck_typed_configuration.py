"""MOD506: one parameter is read by many `getattr` with defaults, so nothing says which settings there are."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD506",
    name="duck-typed-configuration",
    severity=Severity.INFO,
    summary="One parameter is read by many `getattr` with defaults, so nothing says which settings there are.",
    why=(
        "A misspelt setting is silently the default, a default may differ from place to place, and no tool finds the"
        " uses of a setting. A dataclass, or a protocol, says which settings there are and what they default to."
    ),
    examples=(
        Bad("""
            class Validator:
                def __init__(self, config) -> None:
                    self.enabled = getattr(config, "enable_compile", True)  # expect: MOD506
                    self.mode = getattr(config, "mode", "default")
                    self.dynamic = getattr(config, "dynamic", None)
                    self.fullgraph = getattr(config, "fullgraph", False)
                    self.backend = getattr(config, "backend", None)
                    self.steps = getattr(config, "warmup_steps", 5)
        """),
        Good("""
            from dataclasses import dataclass

            @dataclass
            class Settings:
                mode: str = "default"
                dynamic: bool = False

            class Validator:
                def __init__(self, settings: Settings, config) -> None:
                    self.mode = settings.mode
                    self.dynamic = settings.dynamic
                    self.backend = getattr(config, "backend", None)
                    self.steps = getattr(config, "warmup_steps", 5)
        """),
    ),
)
_MANY = 5
_ON_NAME = late(rb"getattr\(\s*(\w+),\s*[\"'](?!_)\w+[\"'],")


def _reads_often(data: bytes) -> bool:
    if data.count(b"getattr(") < _MANY:
        return False
    read = Counter(found[1] for found in _ON_NAME.finditer(data))
    names = [name for name, count in read.items() if count >= _MANY and name not in (b"self", b"cls")]
    return any(re.search(rb"def \w+\([^)]*\b" + name + rb"\b", data) for name in names)


WANTED = Wanted(torch=False, every=(b"getattr(",), test=_reads_often)


def look(view: View) -> Iterator[Problem]:
    """Report the first of at least five such calls on one parameter of one function."""
    found: defaultdict[tuple[Scope, str], dict[str, ast.Call]] = defaultdict(dict)
    for seen in view.calls():
        match seen.node:
            case (
                ast.Call(
                    func=ast.Name(id="getattr"), args=[ast.Name(id=name), ast.Constant(value=str(setting)), _]
                ) as call
            ):
                owner = seen.scope.owner_of(name)
                bound = owner.bindings.get(name, []) if owner is not None else []
                if owner is not None and isinstance(owner.node, Function) and [b.how for b in bound] == ["parameter"]:
                    found[owner, name].setdefault(setting, call)
    for (_, name), settings in found.items():
        if len(settings) >= _MANY and name not in ("self", "cls"):
            yield Problem(
                place=view.place(next(iter(settings.values()))),
                symbol=name,
                message=f"`{name}` is read by {len(settings)} `getattr` with defaults: {_named(settings)}",
                remedy=f"Give `{name}` a type: a dataclass of the settings with their defaults, or a protocol.",
            )


def _named(settings: dict[str, ast.Call]) -> str:
    names = [f"`{name}`" for name in settings]
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more
