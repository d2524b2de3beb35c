"""A place in the project: a node and the file it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

    from stages._source.program.project import Module


@dataclass(frozen=True, slots=True)
class Place:
    """A node and the file it stands in."""

    module: Module
    node: ast.AST

    @property
    def line(self) -> int:
        """Return the 1-based line at which the node starts."""
        return getattr(self.node, "lineno", 1)

    def inside(self, outer: object) -> bool:
        """Say whether the place is in a statement or definition of the same file."""
        node: ast.AST | None = self.node
        while node is not None and node is not outer:
            node = self.module.scopes.parents.get(node)
        return node is not None
