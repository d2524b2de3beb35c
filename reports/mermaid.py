"""Decides how a graph of modules is drawn: Mermaid source in which no name can be read as syntax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reports.escape import cut, fence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

GRAPH_LIMIT = 40
_EDGE_LIMIT = 400
_UNSAFE = re.compile(r"[^\w. /-]", re.ASCII)
_ARROWS = {"eager": "-->", "guarded": "-->", "conditional": "-->", "lazy": "-.->", "type-only": "-.->"}


def graph(modules: Sequence[str], edges: Sequence[tuple[str, str, str]]) -> Markup:
    """Draw modules and edges `(from, to, kind)`; what does not run at import is dotted."""
    number = {module: index for index, module in enumerate(modules)}
    lines = ["graph LR", *(f'    n{index}["{label(module)}"]' for module, index in number.items())]
    known = dict.fromkeys(edge for edge in edges if edge[0] in number and edge[1] in number)
    for start, end, kind in list(known)[:_EDGE_LIMIT]:
        arrow = _ARROWS.get(kind, "-->")
        note = "" if kind == "eager" or kind not in _ARROWS else f"|{kind}|"
        lines.append(f"    n{number[start]} {arrow}{note} n{number[end]}")
    return fence("\n".join(lines), "mermaid", limit=GRAPH_LIMIT + _EDGE_LIMIT + 1)


def label(name: str) -> str:
    """Write a name for a quoted Mermaid label; every other character becomes an entity code."""
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", cut(name, 120))
