"""Finds the rules and fixes of a package: exactly one per module, its code and name those of the file."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from verifier.api import Fix, RuleInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


@functools.cache
def rules_in(package: ModuleType) -> tuple[RuleInfo, ...]:
    """Import every module of a rules package and return its `RULE`, by code.

    Raises:
        ImportError: a module has no `RULE`, or one whose code and name are not those of its file. A rule that
            cannot be found is never a shorter run.
    """
    rules = []
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        rule = getattr(module, "RULE", None)
        if not isinstance(rule, RuleInfo):
            raise ImportError(f"{module.__name__} defines no RULE")
        expected = f"{rule.code.lower()}_{rule.name.replace('-', '_')}"
        if module_info.name != expected:
            raise ImportError(f"{module.__name__} holds {rule.code} {rule.name}; its file should be {expected}.py")
        rules.append(rule)
    return tuple(sorted(rules, key=lambda rule: rule.code))


def fixes_in(package: ModuleType, rules: Iterable[RuleInfo]) -> tuple[Fix, ...]:
    """Import every module of a package of fixes and return its `FIX`, by code.

    Raises:
        ImportError: a module has no `FIX`, or its file is not called like that of the rule.
    """
    known = {rule.code: rule for rule in rules}
    fixes = []
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        fix = getattr(module, "FIX", None)
        if not isinstance(fix, Fix):
            raise ImportError(f"{module.__name__} defines no FIX")
        rule = known.get(fix.rule)
        if rule is None or module_info.name != f"{rule.code.lower()}_{rule.name.replace('-', '_')}":
            raise ImportError(
                f"{module.__name__} holds the fix of {fix.rule}; its file should be called like the rule's"
            )
        fixes.append(fix)
    return tuple(sorted(fixes, key=lambda fix: fix.rule))
