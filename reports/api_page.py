"""Decides what the reference of a package's interface says: what its docstrings say, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports import escape
from reports.api_source import public_names, read_package
from reports.environment import environment
from reports.table import table

if TYPE_CHECKING:
    from reports.api_source import Block, Module
    from reports.table import Table

_LONGEST = 4000
# What runs beside verified code, and the records it writes: instruments, not the library.
LEFT_OUT = frozenset({"amp_runtime.probes", "amp_runtime.wire", "amp_runtime.wire_cage", "amp_runtime.wire_json"})
# Of the sanitizer, what one uses; the rest is its insides.
INSTRUMENT = "instrument"
USED = frozenset({"faults", "plots", "records", "resume", "sanitizer", "summary", "trace", "tracking", "updates"})
_NAMED = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<text>.+)", re.DOTALL)


def page(folder: Path) -> str:
    """Return the reference of the package in `folder`."""
    modules = read_package(folder, leave_out=left_out(folder))
    door = public_names(ast.parse((folder / "__init__.py").read_text("utf-8")))
    text = (
        environment()
        .get_template("api.md.j2")
        .render(
            package=folder.name, modules=modules, index=_index(modules), door=_door(door, modules), written=_written
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def left_out(folder: Path) -> frozenset[str]:
    """Return the modules and packages that the page of this package does not show."""
    parts = {path.stem for path in (folder / INSTRUMENT).glob("*") if path.stem != "__init__"}
    return LEFT_OUT | {f"{folder.name}.{INSTRUMENT}.{name}" for name in parts - USED}


def _index(modules: tuple[Module, ...]) -> Table:
    rows = [(_link(module.name, module.name), module.summary) for module in modules]
    return table("Module|What it does", rows, limit=len(rows))


def _door(names: tuple[str, ...], modules: tuple[Module, ...]) -> Table:
    homes = {entry.name: module.name for module in modules for entry in module.entries}
    rows = [(escape.code(name), _link(homes[name], homes[name])) for name in names]
    return table("Name|Described under", rows, limit=len(rows))


def _link(text: str, heading: str) -> Markup:
    return Markup(f"[{escape.code(text)}](#{heading.replace('.', '').lower()})")


def _written(blocks: tuple[Block, ...]) -> Markup:
    """Write a docstring: paragraphs, items, and a bold line for each section."""
    parts: list[str] = []
    for block in blocks:
        if block.kind == "title":
            parts.append(f"\n**{block.text}**\n")
        elif block.kind == "text":
            parts.append(f"\n{escape.prose(block.text, limit=_LONGEST)}\n")
        else:
            parts.append(f"- {_item(block.text)}")
    return Markup("\n".join(parts).strip())


def _item(text: str) -> Markup:
    named = _NAMED.fullmatch(text)
    if named is None:
        return escape.prose(text, limit=_LONGEST)
    return Markup(f"{escape.code(named['names'])}: {escape.prose(named['text'], limit=_LONGEST)}")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1])), "utf-8")
