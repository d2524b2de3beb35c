"""Decides what comes with the declared distributions, as far as the metadata of installed ones says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.dependencies import bringing
from stages._source.distributions import Distributions
from stages._source.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Sequence


class Arriving:
    """The requirements of requirements, looked up once for each set of declared names."""

    def __init__(self, path: Sequence[str]) -> None:
        self._distributions = Distributions(path)
        self._brought: dict[frozenset[str], dict[str, str]] = {}

    def with_declared(self, names: frozenset[str], module: str) -> str | None:
        """Return the declared distribution which needs another one that would bring the module."""
        if names not in self._brought:
            brought: dict[str, str] = {}
            for name in sorted(names):
                for other in self._distributions.closure([Requirement(name=name, role="runtime")])[0]:
                    brought.setdefault(other, name)
            self._brought[names] = brought
        found = bringing(module, self._brought[names].keys())
        return min((self._brought[names][name] for name in found), default=None)
