"""Decides which loops of a module are worth a look: those that wait for the device, or allocate, in every turn."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.kinds import last_name
from stages._source.program.scopes import Function, own_nodes
from stages._source.walking import walk
from stages.syntax.inventory.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.project import Module
    from verifier.api import Json

Loop = ast.For | ast.AsyncFor | ast.While
# each makes the host wait until the device has computed what is asked for
_SYNCS = frozenset(["item", "cpu", "tolist", "numpy", "nonzero", "synchronize", "is_nonzero"])
_NEW = frozenset(
    [
        *("zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace", "eye", "tensor"),
        *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
        *("cat", "stack", "clone", "deepcopy", "empty_cache", "collect"),
    ]
)
_MODULES = frozenset(["torch", "gc", "copy", "cuda", "np", "numpy"])
_WARM = late(r"warm[-_]?up|warm", re.IGNORECASE)


def performance(module: Module) -> dict[str, Json]:
    """Return the loops with something costly in their bodies, the warm-ups, and how many loops there are in all."""
    if not _speaks_of_tensors(module):
        loops = [node for node in walk(module.tree) if isinstance(node, Loop)]
        return {"loop_count": len(loops), "loops": [], "warm_ups": []}
    rows: list[Json] = []
    warm_ups: list[Json] = []
    count = 0
    for loop, depth in _loops(module.tree.body, 1):
        count += 1
        over = text_of(loop.test if isinstance(loop, ast.While) else loop.iter)
        place: dict[str, Json] = {"line": loop.lineno, "end_line": loop.end_lineno or loop.lineno, "over": over}
        if _WARM.search(over) or (not isinstance(loop, ast.While) and _WARM.search(text_of(loop.target))):
            warm_ups.append(place)
        syncs = _calls(loop, _SYNCS, bare=True)
        news = _calls(loop, _NEW, bare=False)
        if syncs or news:
            rows.append({**place, "depth": depth, "syncs": syncs, "allocations": news})
    return {"loop_count": count, "loops": rows, "warm_ups": warm_ups}


def _speaks_of_tensors(module: Module) -> bool:
    return any(
        binding.origin.partition(".")[0] in ("torch", "lightning", "accelerate", "transformers")
        for bindings in module.scopes.root.bindings.values()
        for binding in bindings
        if binding.how == "import"
    )


def _loops(body: list[ast.stmt], depth: int) -> Iterator[tuple[Loop, int]]:
    """Yield every loop with its depth of nesting; a function begins anew."""
    for node in body:
        if isinstance(node, Loop):
            yield node, depth
        inner = depth + 1 if isinstance(node, Loop) else 1 if isinstance(node, Function | ast.ClassDef) else depth
        for name in ("body", "orelse", "finalbody"):
            yield from _loops(getattr(node, name, []), inner)
        for handler in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from _loops(handler.body, inner)


def _calls(loop: Loop, names: frozenset[str], *, bare: bool) -> list[Json]:
    """Return calls of those names in a loop's own turns, not in a loop or function inside it.

    Args:
        bare: they are methods that take no arguments; otherwise functions of torch, and `clone`.
    """
    found: list[Json] = []
    for node in _turn(loop.body):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            of_module = last_name(node.func.value) in _MODULES
            if (bare and (of_module or not node.args)) or (not bare and (of_module or node.func.attr == "clone")):
                found.append({"line": node.lineno, "what": text_of(node.func)})
    return sorted(found, key=lambda row: (row["line"], row["what"]))  # type: ignore[index,call-overload]


def _turn(body: list[ast.stmt]) -> Iterator[ast.AST]:
    inner = {node for item in own_nodes(body) if isinstance(item, Loop) for node in own_nodes(item.body)}
    yield from (node for node in own_nodes(body) if node not in inner)
