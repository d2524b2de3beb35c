"""Decides what surrounds the statement that is being read, and writes down what it binds and reads."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from stages.syntax.names.reach import Reach
from stages.syntax.names.scopes import Binding, How, Names, Scope, Use, When, mangled

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from stages.syntax.names.scopes import ScopeKind


# Asked for below a handler for everything, to find out whether a notebook runs the code.
_NOTEBOOK = frozenset({"get_ipython", "__IPYTHON__"})


class Surroundings:
    """Walks a tree once, holding the scope it is in and what surrounds the current statement."""

    def __init__(self, *, stub: bool, declares: bool, versions: bool) -> None:
        self.reach = Reach()
        self.declares = declares
        self.versions = versions
        self.scope = Scope("module", "", 1, None)
        self.names = Names(self.scope, [self.scope])
        self.stub = stub
        self.future = False
        self.class_name: str | None = None
        self.types_only = stub
        self.dead = False
        self.dropped = False
        self.guarded = False
        self.caught = False
        self.versioned = False
        self.typing_names: set[str] = set()
        self.typing_modules: set[str] = set()
        self.shapes: set[str] = set()  # names that take text in brackets as it is, not as types
        self.pending: list[Binding] = []

    # -- what is written down

    def bind(self, name: str, how: How, node: ast.AST, module: str = "", scope: Scope | None = None) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        target = scope or self.scope
        name = mangled(name, self.class_name)
        never = self.types_only or self.dead
        binding = Binding(
            name, how, line, column, target, types_only=never, module=module, compiled=not (self.dead or self.dropped)
        )
        if name in target.globals or name in target.nonlocals:
            self.pending.append(binding)
        else:
            target.bindings.setdefault(name, []).append(binding)

    def read(self, node: ast.Name, when: When | None = None) -> None:
        if self.dead or self.dropped or self.guarded or (self.caught and node.id in _NOTEBOOK):
            return
        if when is None or self.types_only:
            when = When.TYPES_ONLY if self.types_only else When.RUN
        name = mangled(node.id, self.class_name)
        use = Use(name, node.lineno, node.col_offset, self.scope, when, self.versioned, self.caught)
        self.names.uses.append(use)
        self.names.use_of[node] = use

    def settle(self) -> None:
        """Hand bindings of names declared global or nonlocal to the scope that owns the name."""
        for binding in self.pending:
            inner = binding.scope
            owner = inner.module
            if binding.name in inner.nonlocals:
                around = [s for s in inner.ancestors() if s.is_function and binding.name in s.bindings]
                owner = around[0] if around else owner
            if inner is not owner:
                owner.foreign.add(binding.name)
            owner.bindings.setdefault(binding.name, []).append(binding)

    # -- surroundings

    @contextmanager
    def inside(self, kind: ScopeKind, name: str, node: ast.AST) -> Iterator[Scope]:
        outer, outer_class = self.scope, self.class_name
        flags = self.guarded, self.caught
        self.scope = Scope(kind, name, getattr(node, "lineno", 1), outer)
        self.names.scopes.append(self.scope)
        self.names.scope_of[node] = self.scope
        if kind == "class":
            self.class_name = name
        if kind in ("function", "lambda"):
            self.guarded = self.caught = False  # its body runs later, outside of the try
        yield self.scope
        self.scope, self.class_name = outer, outer_class
        self.guarded, self.caught = flags

    @contextmanager
    def under(self, **flags: bool) -> Iterator[None]:
        before = {key: getattr(self, key) for key in flags}
        for key, value in flags.items():
            setattr(self, key, value or before[key])
        yield
        for key, value in before.items():
            setattr(self, key, value)
