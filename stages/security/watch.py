"""Finds the rules of this stage that read a file through its syntax tree."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from stages._source.discovery import rules_in
from stages.security import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stages._source.wanted import Wanted
    from stages.security.problem import Problem
    from stages.security.view import View
    from verifier.api import RuleInfo

    Look = Callable[[View], Iterable[Problem]]


@functools.cache
def lookers() -> Sequence[tuple[str, Wanted, Look]]:
    """Return (code, wanted, look) of every rule that has them: `look(view)` is asked about files as `WANTED` says."""
    found = []
    for info in pkgutil.iter_modules(rules.__path__):
        module = importlib.import_module(f"{rules.__name__}.{info.name}")
        if hasattr(module, "look"):
            found.append((module.RULE.code, module.WANTED, module.look))
    return tuple(found)


@functools.cache
def known_rules() -> Mapping[str, RuleInfo]:
    return {rule.code: rule for rule in rules_in(rules)}
