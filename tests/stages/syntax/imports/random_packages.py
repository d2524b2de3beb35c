"""Random packages that import each other in every form CPython knows; without cycles, every one of them would load."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from random import Random

VALUES = ("v1", "v2")
_GETATTR_BODIES = (
    ["    if name == 'made':", "        return 0", "    raise AttributeError(name)"],
    ["    if name in {'made', 'made_too'}:", "        return 0", "    raise AttributeError(name)"],
    [
        "    try:",
        "        return {'made': 0}[name]",
        "    except KeyError:",
        "        raise AttributeError(name) from None",
    ],
)


@dataclass
class _Module:
    name: str
    is_package: bool
    makes: bool  # through a module-level __getattr__
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
    names = {"pkg": True}
    for name in random.sample(["pkg.a", "pkg.b", "pkg.c", "pkg.d"], random.randint(1, 4)):
        names[name] = False
    if random.random() < 0.4:
        names |= {"pkg.sub": True, "pkg.sub.e": False}
    if random.random() < 0.3:
        names |= {"other": True, "other.f": False}
    if random.random() < 0.3:
        names["top"] = False
    modules = [_Module(name, is_package, random.random() < 0.2) for name, is_package in names.items()]
    star_sources = {module.name: random.random() < 0.3 for module in modules}
    for module in modules:
        _fill(random, module, modules, star_sources)
    return {module.path: "\n".join(module.lines) + "\n" for module in modules}


def _fill(random: Random, module: _Module, modules: list[_Module], has_all: dict[str, bool]) -> None:
    blocks: list[list[str]] = [
        ["v1 = 1"],
        ["v2 = 2"],
        ["def func():", "    return v1"],
        ["class Base:", "    attr = 1"],
    ]
    if has_all[module.name]:
        blocks.append(['__all__ = ["v1", "func", "Base"]'])
    if module.makes:
        blocks.append(["def __getattr__(name):", *random.choice(_GETATTR_BODIES)])
    if random.random() < 0.25:
        tried, instead = random.choice([("tomllib", "nosuch"), ("nosuch", "json"), ("nosuch", "tomllib")])
        blocks.append(["try:", f"    import {tried} as lib", "except ImportError:", f"    import {instead} as lib"])
    random.shuffle(blocks)
    for _ in range(random.randint(0, 4)):
        other = random.choice(modules)
        # a module that imports itself may call what it has not prepared yet: its own fault, not a cycle's
        statement = _statement(random, module, other) if other is not module else [f"import {other.name}"]
        blocks.insert(random.randint(0, len(blocks)), _wrapped(random, statement))
    module.lines = ["import sys, os, contextlib, typing"] + [line for block in blocks for line in block]


def _statement(random: Random, module: _Module, other: _Module) -> list[str]:
    """Return lines that import something of another module, and perhaps use it."""
    what = random.choice([*VALUES, "func", "Base", *(["made"] if other.makes else [])])
    alias = f"x{random.randint(1, 3)}"
    forms = [
        [f"import {other.name}"],
        [f"import {other.name} as {alias}"],
        [f"from {other.name} import {what}"],
        [f"from {other.name} import {what} as {alias}"],
        [f"from {other.name} import v1 as {alias}, Base as Y"],
        [f"from {other.name} import *"],
        [f"import {other.name}", f"{alias} = {other.name}.{what}"],
        [f"import {other.name} as {alias}", f"class Derived({alias}.Base):", "    pass"],
        [f"from {other.name} import func as {alias}", f"{alias}()"],
        [f"import {other.name}", f"{other.name}.func()"],
        [f"from {other.name} import *", f"{alias} = v1"],
        [f"import {other.name} as {alias}", f"def late({alias}_={alias}.{what}): ..."],
        [f"import {other.name} as {alias}", f"def annotated(q: {alias}.Base) -> None: ..."],
    ]
    if "." in other.name:
        above, _, last = other.name.rpartition(".")
        forms += [
            [f"from {above} import {last}"],
            [f"from {above} import {last} as {alias}", f"{alias}.{what}"],
        ]
    if relative := _relative(module, other):
        forms += relative_forms(relative, what, alias, random)
    return random.choice(forms)


def _relative(module: _Module, other: _Module) -> tuple[str, str] | None:
    """Return (dots and package, last name) of another module as seen from this one; None across packages."""
    here = module.package
    for level in range(1, here.count(".") + 2):
        if other.name == here:
            return "." * level, ""
        if other.name.startswith(f"{here}."):
            rest = other.name[len(here) + 1 :]
            head, _, last = rest.rpartition(".")
            return "." * level + head, last
        here = here.rpartition(".")[0]
    return None


def relative_forms(relative: tuple[str, str], what: str, alias: str, random: Random) -> list[list[str]]:
    prefix, last = relative
    whole = f"{prefix}{'.' if last and not prefix.endswith('.') else ''}{last}"
    forms = [
        [f"from {whole} import {what}"],
        [f"from {whole} import {what} as {alias}", f"{alias}"],
        [f"from {whole} import *"],
    ]
    if last:
        forms += [[f"from {prefix} import {last}"], [f"from {prefix} import {last} as {alias}", f"{alias}.{what}"]]
    return forms


def _wrapped(random: Random, lines: list[str]) -> list[str]:
    """Put the statement at module level, or into one of the places that change when or whether it runs."""
    choice = random.random()
    has_star = any("import *" in line for line in lines)
    if choice < 0.45:
        return lines
    if choice < 0.53 and not has_star:
        return ["class Holder:", *_indented(lines)]
    if choice < 0.61:
        return [f"if {random.choice(['True', 'sys.version_info >= (3, 0)', 'not False'])}:", *_indented(lines)]
    if choice < 0.66:
        return ["if typing.TYPE_CHECKING:", *_indented(lines), "else:", "    unchecked = 1"]
    if choice < 0.78:
        caught = random.choice(
            ["ImportError", "ImportError", "AttributeError", "Exception", "(ImportError, AttributeError)"]
        )
        handler = random.choice(["    pass", "    v2 = None", "    x1 = None", "    raise"])
        return ["try:", *_indented(lines), f"except {caught}:", handler, *_after_try(random, lines)]
    if choice < 0.82:
        return ["with contextlib.suppress(ImportError):", *_indented(lines)]
    if choice < 0.86:
        return ["try:", *_indented(lines), "finally:", "    done = 1"]
    if has_star:
        return lines
    body = ["def lazy():", *_indented(lines)]
    return [*body, "lazy()"] if random.random() < 0.4 else body


def _after_try(random: Random, lines: list[str]) -> list[str]:
    """Perhaps use what a guarded import should have bound."""
    words = lines[0].split()
    if words[0] == "from" and words[-1] != "*" and random.random() < 0.4:
        return [f"used = {words[-1]}"]
    return []


def _indented(lines: list[str]) -> list[str]:
    return textwrap.indent("\n".join(lines), "    ").splitlines()
