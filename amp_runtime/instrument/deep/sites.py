"""Places of operators, one object each, however often the operator runs there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..records import Frame
from .records import Phase, Site

if TYPE_CHECKING:
    from types import CodeType

    from .names import Names
    from .stacks import Stacks, Where

    Line = tuple[CodeType, int] | None


_GAP = 16  # nodes that one operator may make; what is further apart has been made by another thread


class Place:
    """Where an operator runs; `site` says it for the record."""

    __slots__ = ("_caller", "_frame", "api", "module", "node", "operator", "phase", "through")

    def __init__(self, module: str, operator: str, where: Where, node: str) -> None:
        self.module = module
        self.operator = operator
        self.phase: Phase = where.phase
        self.api = where.api
        self.through = where.through
        self.node = node
        self._frame: Line = where.frame
        self._caller: Line = where.caller

    def site(self) -> Site:
        frame, caller = _frame(self._frame), _frame(self._caller)
        return Site(
            module=self.module,
            operator=self.operator,
            phase=self.phase,
            api=self.api,
            through=self.through,
            node=self.node,
            frame=frame,
            caller=None if caller == frame else caller,
        )

    def borrow(self, other: Place) -> None:
        """Take over the line of the forward operator that a node of the backward pass belongs to."""
        self.module, self.api = other.module, other.api
        if self._frame is None:
            self._frame, self._caller = other._frame, other._caller


class Sites:
    """Finds the place of the operator that is about to run, and keeps the line between the two passes."""

    def __init__(self, stacks: Stacks, names: Names) -> None:
        self._stacks = stacks
        self._names = names
        self._places: dict[object, Place] = {}
        self._named: dict[object, Place] = {}
        self._last = torch._C._autograd._get_sequence_nr() - 1
        self._forward: dict[int, Place] = {}  # by the number of the autograd node that the operator made

    def place(self, operator: str, where: Where) -> Place:
        module = self._module(where)
        if where.phase == "backward":
            return self._backward(operator, where)
        key = (module, operator, where.phase, where.api, where.frame)
        found = self._places.get(key)
        if found is None and where.frame is None:
            found = self._named.get(key[:-1])  # a recomputed forward pass: as it was the first time
        if found is None:
            found = self._places[key] = Place(module, operator, where, "")
            self._named.setdefault(key[:-1], found)
        return found

    def makes_node(self, place: Place) -> None:
        """Remember the forward operator that just made a node of the graph: autograd makes it before it runs.

        An operator that makes none comes with the number of the one before, whose it stays. A number that no operator
        came with, as that of an autograd.Function, belongs to the next one.
        """
        number = torch._C._autograd._get_sequence_nr() - 1
        for made in range(max(self._last + 1, number - _GAP), number + 1):
            self._forward.setdefault(made, place)
        self._last = number

    def _backward(self, operator: str, where: Where) -> Place:
        node = torch._C._current_autograd_node()
        number = -1 if node is None else node._sequence_nr()
        name = "" if node is None else node.name().rpartition("::")[2]
        origin = self._forward.get(number)
        variable = getattr(node, "variable", None)
        owner = "" if variable is None else self._names.of_tensor(variable)
        key = (operator, name, origin, owner, where.frame)
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = Place(owner.rpartition(".")[0], operator, where, name)
            if origin is not None:
                found.borrow(origin)
        return found

    def _module(self, where: Where) -> str:
        module = where.module
        if module is None:
            return ""
        if not self._names.known(module):
            self._names.add(module, self._stacks.outermost_module())
        return self._names.module(module)


def _frame(line: Line) -> Frame | None:
    if line is None:
        return None
    code, number = line
    return Frame(path=str(Path(code.co_filename).absolute()), line=number, function=code.co_qualname)
