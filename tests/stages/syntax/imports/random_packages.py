"""Random packages that import each other in every form CPython knows; without cycles, every one of them would load."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.stages.syntax.imports.random_places import placed
from tests.stages.syntax.imports.random_statements import statement

HEADER = (
    "import sys, os, contextlib, typing, importlib",
    "from typing import TYPE_CHECKING",
    "from importlib import import_module as bring",
)
_NO_SUCH_NAME = "    raise AttributeError(name)"
_GETATTR_BODIES = (
    ["    if name == 'made':", "        return 0", _NO_SUCH_NAME],
    ["    if name in {'made', 'made_too'}:", "        return 0", _NO_SUCH_NAME],
    [
        "    try:",
        "        return {'made': 0}[name]",
        "    except KeyError:",
        "        raise AttributeError(name) from None",
    ],
)


@dataclass
class Module:
    """A module to be. `offers` are names that it has once it is complete, besides those of every module."""

    name: str
    is_package: bool
    makes: bool  # through a module-level __getattr__
    loads: bool  # has load(), which imports when it is called
    exports: list[str]  # __all__; empty for none
    again: str | None = None  # the module whose v1 it re-exports as `again`
    offers: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        place = self.name.replace(".", "/")
        return f"{place}/__init__.py" if self.is_package else f"{place}.py"

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


def random_package(random: Random) -> dict[str, str]:
    """Return file -> text. Names imported always exist, so whatever raises on import raises because of a cycle."""
    modules = [_module(random, name, is_package) for name, is_package in _names(random).items()]
    for module in modules:
        below = [other.name for other in modules if other.name.rpartition(".")[0] == module.name]
        if module.is_package and below and random.random() < 0.3:
            module.again = random.choice(below)
            module.offers.append("again")
    for module in modules:
        _fill(random, module, modules)
    return {module.path: "\n".join(module.lines) + "\n" for module in modules}


def _names(random: Random) -> dict[str, bool]:
    """Return module name -> whether it is a package with an `__init__`."""
    names = {"pkg": True}
    for name in random.sample(["pkg.a", "pkg.b", "pkg.c", "pkg.d"], random.randint(1, 4)):
        names[name] = False
    if random.random() < 0.35:
        names |= {"pkg.sub": True, "pkg.sub.e": False}
        if random.random() < 0.3:
            names |= {"pkg.sub.deep.g": False}  # without an __init__ in between
    if random.random() < 0.25:
        names |= {"other": True, "other.f": False}
    if random.random() < 0.2:
        names |= {"space.h": False} | ({"space.i": False} if random.random() < 0.5 else {})
    if random.random() < 0.25:
        names["top"] = False
    return names


def _module(random: Random, name: str, is_package: bool) -> Module:
    exports = ["v1", "func", "Base"] if random.random() < 0.3 else []
    if exports and random.random() < 0.4:
        exports.append("_hidden")
    makes, loads = random.random() < 0.2, random.random() < 0.15
    offers = ["made"] * makes + ["load"] * loads
    return Module(name, is_package, makes, loads, exports, offers=offers)


def _fill(random: Random, module: Module, modules: list[Module]) -> None:
    blocks: list[list[str]] = [
        ["v1 = 1"],
        ["v2 = 2"],
        ["def func():", "    return v1"],
        ["class Base:", "    attr = 1"],
        ["def deco(given):", "    return given"],
        ["_hidden = 3"],
    ]
    others = [other for other in modules if other is not module]
    blocks += _own_blocks(random, module, others)
    random.shuffle(blocks)
    if random.random() < 0.1:
        _insert_in_order(random, blocks, ["v2 = 0"], ["del v2"], ["v2 = 2"])
        blocks.remove(["v2 = 2"])
    for _ in range(random.randint(0, 4)):
        other = random.choice(modules)
        # a module that imports itself may call what it has not prepared yet: its own fault, not a cycle's
        lines = statement(random, module, other) if other is not module else [f"import {other.name}"]
        instead = random.choice(others)
        blocks.insert(random.randint(0, len(blocks)), placed(random, lines, statement(random, module, instead)))
    if module.exports and random.random() < 0.4:
        _insert_in_order(random, blocks, ["__all__ = []"], _more_exports(random, module, others))
    elif module.exports:
        blocks.insert(random.randint(0, len(blocks)), [f"__all__ = {module.exports}"])
    module.lines = [*HEADER, *(line for block in blocks for line in block)]


def _own_blocks(random: Random, module: Module, others: list[Module]) -> list[list[str]]:
    """Return blocks that only some modules have."""
    blocks: list[list[str]] = []
    if module.makes:
        inner = statement(random, module, random.choice(others), in_function=True, plain=True)
        lazily = ["    if name == 'made':", *(f"        {line}" for line in inner), "        return 0", _NO_SUCH_NAME]
        blocks.append(["def __getattr__(name):", *random.choice([*_GETATTR_BODIES, lazily])])
    if module.loads:
        inner = statement(random, module, random.choice(others), in_function=True)
        blocks.append(["def load():", *(f"    {line}" for line in inner)])
    if module.again is not None:
        last = module.again.rpartition(".")[2]
        blocks.append([random.choice([f"from .{last} import v1 as again", f"from {module.again} import v1 as again"])])
    if random.random() < 0.25:
        tried, instead = random.choice([("tomllib", "nosuch"), ("nosuch", "json"), ("nosuch", "tomllib")])
        blocks.append(["try:", f"    import {tried} as lib", "except ImportError:", f"    import {instead} as lib"])
    return blocks


def _more_exports(random: Random, module: Module, others: list[Module]) -> list[str]:
    """Return lines that extend `__all__`, perhaps by that of another module, whose names then are here too."""
    listed = [other for other in others if other.exports]
    if not listed or random.random() < 0.5:
        return [random.choice([f"__all__ += {module.exports}", f"__all__.extend({module.exports})"])]
    other = random.choice(listed)
    brought = [f"from {other.name} import *", f"import {other.name} as listed"]
    return [*brought, random.choice([f"__all__ += listed.__all__ + {module.exports}", "__all__ += listed.__all__"])]


def _insert_in_order(random: Random, blocks: list[list[str]], *inserted: list[str]) -> None:
    places = sorted(random.randint(0, len(blocks)) for _ in inserted)
    for shift, (place, block) in enumerate(zip(places, inserted, strict=True)):
        blocks.insert(place + shift, block)
