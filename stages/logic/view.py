"""What a rule that reads one file at a time may ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages._source.program.origins import origins
from stages._source.pythons import supported_pythons
from stages._source.versions import TorchVersions
from stages.logic.engine.place import Place

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages._source.program.kinds import Kinds
    from stages._source.program.project import Module, Project
    from stages._source.program.scopes import Scope, Seen
    from stages._source.pythons import Supported
    from stages._source.versions import Versions


@dataclass(frozen=True, slots=True)
class View:
    """One file of the project."""

    project: Project
    module: Module
    kinds: Kinds
    requirements: TorchVersions = field(default_factory=TorchVersions)

    @property
    def torch(self) -> Versions:
        """Return the versions of torch that the project says this file runs with."""
        return self.requirements.of(self.module.path)

    @property
    def python(self) -> Supported | None:
        """Return the Pythons that the project says it supports; None where nothing says it."""
        root = self.requirements.root
        return None if root is None else supported_pythons(root, self.module.path)

    def calls(self) -> Iterator[Seen]:
        """Yield every call of the file in source order; `node` is an `ast.Call`."""
        yield from self.module.scopes.calls

    def origins(self, node: ast.expr, scope: Scope) -> frozenset[str]:
        """Return the dotted names an expression may stand for."""
        return origins(self.project, node, scope)

    def mentions(self, word: str) -> bool:
        """Say whether the text of the file has a word in it, which is cheaper to ask than its tree."""
        return any(word in line for line in self.module.lines)

    def place(self, node: ast.AST) -> Place:
        return Place(self.module, node)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node around a node; of a call, a name or another expression."""
        return self.module.scopes.parents.get(node)
