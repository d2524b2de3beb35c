"""Lines that import something of another random module, and perhaps use it at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stages.syntax.imports.random_packages import Module

VALUES = ("v1", "v2", "_hidden")


def statement(
    random: Random, module: Module, other: Module, *, in_function: bool = False, plain: bool = False
) -> list[str]:
    """Return lines that import something of another module, and perhaps use it.

    In a function that others may call, nothing is called that may call back, and nothing is imported by a star.
    `plain`: nothing is read that the other's `__getattr__` makes.
    """
    what = random.choice([*VALUES, "func", "Base", "deco", *(() if plain else other.offers)])
    alias = f"x{random.randint(1, 3)}"
    kinds = [_plain, _plain, _used, _by_name, _asked]
    if not in_function:
        kinds += [_stars, _called, _decorating, _in_comprehension, _rebinding]
    lines = random.choice(kinds)(other, what, alias)
    return random.choice([*lines, *_relative_forms(module, other, what, alias, star=not in_function)])


def _plain(other: Module, what: str, alias: str) -> list[list[str]]:
    forms = [
        [f"import {other.name}"],
        [f"import {other.name} as {alias}"],
        [f"from {other.name} import {what}"],
        [f"from {other.name} import {what} as {alias}"],
        [f"from {other.name} import v1 as {alias}, Base as Y"],
    ]
    if "." in other.name:
        above, _, last = other.name.rpartition(".")
        forms += [[f"from {above} import {last}"], [f"from {above} import {last} as {alias}"]]
    return forms


def _used(other: Module, what: str, alias: str) -> list[list[str]]:
    forms = [
        [f"import {other.name}", f"{alias} = {other.name}.{what}"],
        [f"import {other.name} as {alias}", f"class Derived({alias}.Base):", "    pass"],
        [f"import {other.name} as {alias}", f"class Derived({alias}.Base, metaclass=type):", "    pass"],
        [f"import {other.name} as {alias}", f"def late({alias}_={alias}.{what}): ..."],
        [f"import {other.name} as {alias}", f"def late(*, {alias}_={alias}.{what}): ..."],
        [f"import {other.name} as {alias}", f"def annotated(q: {alias}.Base) -> None: ..."],
        [f"import {other.name} as {alias}", f"noted: {alias}.Base = None"],
        [f"import {other.name} as {alias}", f"(kept := {alias}.{what})"],
        [f"import {other.name} as {alias}", f"kept = {alias}.{what} if {alias} else None"],
        [f"import {other.name} as {alias}", f"kept = {alias} and {alias}.{what}"],
        [f"import {other.name} as {alias}", f"kept = [{alias}.{what}, *({alias}.v1,)]"],
    ]
    if "." in other.name:
        above, _, last = other.name.rpartition(".")
        forms += [[f"from {above} import {last} as {alias}", f"{alias}.{what}"]]
    return forms


def _called(other: Module, _what: str, alias: str) -> list[list[str]]:
    forms = [
        [f"from {other.name} import func as {alias}", f"{alias}()"],
        [f"import {other.name}", f"{other.name}.func()"],
        [f"import {other.name}", f"kept = {other.name}.Base()"],
    ]
    if other.loads:
        forms += 3 * [[f"import {other.name} as {alias}", f"{alias}.load()"]]
        forms += 2 * [[f"from {other.name} import load as {alias}", f"{alias}()"]]
    return forms


def _stars(other: Module, _what: str, alias: str) -> list[list[str]]:
    return [
        [f"from {other.name} import *"],
        [f"from {other.name} import *", f"{alias} = v1"],
        [f"from {other.name} import *", "try:", f"    {alias} = func", "except NameError:", f"    {alias} = None"],
    ]


def _decorating(other: Module, _what: str, alias: str) -> list[list[str]]:
    return [
        [f"import {other.name} as {alias}", f"@{alias}.deco", "def decorated(): ..."],
        [f"from {other.name} import deco as {alias}", f"@{alias}", "class Decorated:", "    pass"],
    ]


def _in_comprehension(other: Module, what: str, alias: str) -> list[list[str]]:
    """Return lines in which a comprehension reads a global name, which in a class body it would not see."""
    return [
        [f"import {other.name}", f"kept = [{other.name}.{what} for _ in range(2)]"],
        [f"from {other.name} import {what} as {alias}", f"kept = {{n: {alias} for n in ('p', 'q')}}"],
        [f"import {other.name}", f"kept = sum({other.name}.v1 for _ in [1, 2])"],
        [f"import {other.name}", f"kept = [{other.name}.{what} for _ in ()]"],
        [f"import {other.name}", f"kept = [n for n in (1,) if {other.name}.{what}]"],
        [f"import {other.name}", f"kept = [n for n in ({other.name}.{what},)]"],
    ]


def _by_name(other: Module, what: str, alias: str) -> list[list[str]]:
    _, *rest = other.name.split(".")
    attributes = "".join(f".{part}" for part in rest)
    return [
        [f'importlib.import_module("{other.name}")'],
        [f'{alias} = importlib.import_module("{other.name}")', f"{alias}.{what}"],
        [f'{alias} = bring("{other.name}").{what}'],
        [f'__import__("{other.name}")'],
        [f'{alias} = __import__("{other.name}"){attributes}', f"{alias}.{what}"],
        [f'{alias} = __import__("{other.name}", fromlist=["{what}"]).{what}'],
    ]


def _asked(other: Module, what: str, alias: str) -> list[list[str]]:
    return [
        [f"import {other.name} as {alias}", f"kept = hasattr({alias}, '{what}')"],
        [f"import {other.name} as {alias}", f"kept = getattr({alias}, '{what}')"],
        [f"import {other.name} as {alias}", f"kept = getattr({alias}, '{what}', None)"],
        [f"import {other.name} as {alias}", f"if hasattr({alias}, '{what}'):", f"    kept = {alias}.{what}"],
        [f"import {other.name} as {alias}", f"kept = {alias}.v2 if hasattr({alias}, '{what}') else 0"],
    ]


def _rebinding(other: Module, what: str, alias: str) -> list[list[str]]:
    return [
        [f"from {other.name} import {what} as {alias}", f"del {alias}"],
        [f"from {other.name} import v2"],
        [f"import {other.name}", f"{other.name}.v2 = 2"],
        [f"import {other.name} as {alias}", f"v2 = {alias}.v2"],
        [f"{alias} = 0", f"from {other.name} import {what} as {alias}", f"{alias} = {alias}"],
    ]


def _relative_forms(module: Module, other: Module, what: str, alias: str, *, star: bool) -> list[list[str]]:
    found = _relative(module, other)
    if found is None:
        return []
    prefix, last = found
    whole = f"{prefix}{'.' if last and not prefix.endswith('.') else ''}{last}"
    forms = [[f"from {whole} import {what}"], [f"from {whole} import {what} as {alias}", f"{alias}"]]
    if star:
        forms.append([f"from {whole} import *"])
    if last:
        forms += [
            [f"from {prefix} import {last}"],
            [f"from {prefix} import {last} as {alias}", f"{alias}.{what}"],
            [f'{alias} = importlib.import_module("{whole}", __package__)', f"{alias}.{what}"],
        ]
    return forms


def _relative(module: Module, other: Module) -> tuple[str, str] | None:
    """Return (dots and package, last name) of another module as seen from this one; None across packages."""
    here = module.package
    for level in range(1, here.count(".") + 2):
        if not here:
            return None
        if other.name == here:
            return "." * level, ""
        if other.name.startswith(f"{here}."):
            rest = other.name[len(here) + 1 :]
            head, _, last = rest.rpartition(".")
            return "." * level + head, last
        here = here.rpartition(".")[0]
    return None
