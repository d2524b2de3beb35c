"""Decides how a cycle is drawn, as text and as Mermaid; nothing in a name can change the drawing's structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stages.syntax.imports.graph import Edge

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
_STEPS = 40
_ARROWS = {"eager": "-->", "lazy": "-.->", "type-only": "-.->", "access": "-->"}


def as_text(edges: Sequence[Edge], name_of: Callable[[str], str]) -> str:
    """Return the cycle one step a line, closing where it began."""
    lines = []
    for edge in edges[:_STEPS]:
        how = "loads its package" if edge.implied else f"{edge.kind} import"
        lines.append(
            f"{printable(name_of(edge.source))}\n  -> {printable(name_of(edge.target))}  ({how}, line {edge.line})"
        )
    if len(edges) > _STEPS:
        lines.append(f"  ... {len(edges) - _STEPS} more steps")
    return "\n".join(lines)


def as_mermaid(edges: Sequence[Edge], name_of: Callable[[str], str]) -> str:
    """Return a Mermaid flowchart; nodes are called n0, n1, ... and carry their names as escaped labels."""
    shown = edges[:_STEPS]
    order = dict.fromkeys(path for edge in shown for path in (edge.source, edge.target))
    ids = {path: f"n{number}" for number, path in enumerate(order)}
    lines = ["flowchart LR"]
    lines += [f'    {ids[path]}["{_label(name_of(path))}"]' for path in order]
    for edge in shown:
        note = f"line {edge.line}" if edge.kind == "eager" else f"line {edge.line}, {edge.kind}"
        lines.append(f"    {ids[edge.source]} {_ARROWS[edge.kind]}|{note}| {ids[edge.target]}")
    return "\n".join(lines)


def printable(name: str) -> str:
    """Return a name on one line, with control characters and lone surrogates written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in name)


def _label(name: str) -> str:
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in name)
