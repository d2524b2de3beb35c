"""Where a function is being read: what its names are now, and the autocast around."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.logic.dtypes.known import Known

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence

    from stages._source.program.project import Project
    from stages._source.program.scopes import Scope
    from stages.logic.dtypes.known import Region, Unit

Env = dict[str, Known]


@dataclass(slots=True)
class Reading:
    """One function that is being read.

    Args:
        run: reads the project's code that a call runs, and returns what that gives; None where it runs none.
        look: tells what an expression is.
    """

    project: Project
    unit: Unit
    region: Region
    run: Callable[[Reading, ast.Call, Sequence[Known]], Known | None]
    look: Callable[[Reading, ast.expr], Known]
    env: Env = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        return self.unit.scope

    def infer(self, node: ast.expr) -> Known:
        """Return what is known of an expression."""
        return self.look(self, node)
