"""Decides which distributions every installation gets although nothing in the project names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.dependencies import modules_of
from stages.syntax.dependencies.mentions import mentioned
from stages.syntax.dependencies.problem import Problem
from stages.syntax.dependencies.vocabulary import NEVER_IMPORTED, PLUGGED_IN, SAME_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from stages._source.declarations import Declarations
    from stages._source.distributions import Distributions
    from stages._source.requirements import Requirement

_LIST = "requirements.txt"
_FROZEN = 0.6  # share of pins from which a list is a record of what was installed once


def unused(
    root: Path, folder: str, stated: Declarations, imported: Collection[str], distributions: Distributions
) -> list[Problem]:
    """Return the requirements of an installation that no import, string, script or setting of a folder names.

    Args:
        stated: what the files of the folder declare.
        imported: top-level modules that the files below the folder import.
    """
    doubtful: dict[Requirement, frozenset[str]] = {}
    everything = {item.name for item in stated.requirements}
    for item in _candidates(stated):
        modules = _modules(item.name, distributions)
        if modules and modules.isdisjoint(imported) and not _serves_another(item, everything, distributions):
            doubtful[item] = modules
    if not doubtful:
        return []
    words = {name for item, modules in doubtful.items() for name in (item.name, *modules)}
    named = mentioned(root / folder, words)
    return [
        Problem(
            kind="unused",
            distribution=item.name,
            declared_in=f"{folder}/{item.file}" if folder else item.file,
            modules=tuple(sorted(modules)),
        )
        for item, modules in doubtful.items()
        if named is not None and named.isdisjoint({item.name, *modules})
    ]


def _candidates(stated: Declarations) -> Iterable[Requirement]:
    """Return what every installation gets, once per distribution; a list of pins is no choice of anyone's."""
    listed = [item for item in stated.requirements if item.file == _LIST]
    frozen = sum(item.pinned for item in listed) > _FROZEN * len(listed)
    runtime = [item for item in stated.requirements if item.role == "runtime"]
    if not runtime and not frozen:
        runtime = [item for item in listed if item.role == "listed"]
    conditional = {item.name for item in runtime if item.conditional}
    return {
        item.name: item
        for item in runtime
        if item.name not in conditional
        and item.name != stated.name
        and item.name not in NEVER_IMPORTED
        and not PLUGGED_IN.match(item.name)
    }.values()


def _modules(name: str, distributions: Distributions) -> frozenset[str]:
    """Return the modules a distribution brings for certain; none where that is not known."""
    installed = distributions.modules(name)
    if installed is not None:
        return frozenset() if distributions.is_plugin(name) else installed
    other = modules_of(name)
    own = frozenset({name.replace("-", "_")}) if name in SAME_NAME else frozenset()
    return other | own


def _serves_another(item: Requirement, declared: Iterable[str], distributions: Distributions) -> bool:
    """Say whether it may be there for the sake of a distribution that is declared too.

    Others load what they find behind the scenes. A bound may only keep away a version that another cannot use, which
    is known where the others are installed.
    """
    others = [name for name in declared if name != item.name]
    if item.bounded and not all(map(distributions.has, others)):
        return True
    return any(item.name in distributions.may_use(name) for name in others)
