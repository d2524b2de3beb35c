"""Decides how a graph of modules is drawn: Mermaid source in which no name can be read as syntax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reports.escape import fence
from verifier.api import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

GRAPH_LIMIT = 40
_EDGE_LIMIT = 400
_UNSAFE = re.compile(r"[^\w. /-]", re.ASCII)
_ARROWS = {"lazy": "-.->", "type-only": "-.->"}
_KINDS = ("lazy", "type-only", "guarded", "conditional")

Edge = tuple[str, str, str, int]  # from, to, kind, and the line to show, or 0


def graph(modules: Sequence[str], edges: Sequence[Edge]) -> Markup:
    """Draw modules and the imports between them; what does not run when a module loads is dotted."""
    number = {module: index for index, module in enumerate(modules)}
    lines = ["graph LR", *(f'    n{index}["{label(module)}"]' for module, index in number.items())]
    known = dict.fromkeys(edge for edge in edges if edge[0] in number and edge[1] in number)
    for start, end, kind, line in list(known)[:_EDGE_LIMIT]:
        notes = [f"line {line}"] if line else []
        notes += [kind] if kind in _KINDS else []
        note = f"|{', '.join(notes)}|" if notes else ""
        lines.append(f"    n{number[start]} {_ARROWS.get(kind, '-->')}{note} n{number[end]}")
    return fence("\n".join(lines), "mermaid", limit=GRAPH_LIMIT + _EDGE_LIMIT + 1)


def label(name: str) -> str:
    """Write a name for a quoted Mermaid label; every other character becomes an entity code."""
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", cut(name, 120))
