"""Decides how a declaration that does not fit the imports is written down, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verifier.api import Json


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One requirement that is unused, or that stands where an installation does not look.

    Args:
        declared_in: the file that declares it, relative to the root.
        group: the extra or group, in words; "" for what every installation needs.
        modules: the top-level modules it brings.
        imported_by: `path:line` of the imports in question; none where it is unused.
        package: the package that cannot be imported without it; "" where it is unused.
    """

    kind: Literal["misplaced", "unused"]
    distribution: str
    declared_in: str
    group: str = ""
    modules: tuple[str, ...] = ()
    imported_by: tuple[str, ...] = ()
    package: str = ""


def problem_facts(problems: Iterable[Problem]) -> list[Json]:
    """Return the rows of a report."""
    return [
        {
            "problem": item.kind,
            "distribution": item.distribution,
            "declared_in": item.declared_in,
            "group": item.group,
            "modules": list(item.modules),
            "imported_by": list(item.imported_by),
            "package": item.package,
        }
        for item in sorted(problems)
    ]
