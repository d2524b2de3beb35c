"""Decides what one requirement says, however it is written: a line, an address, a table entry."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# "listed": in a file of requirements that nothing ties to an installation; "unknown": somewhere in a setup script
Role = Literal["runtime", "extra", "development", "build", "listed", "unknown"]

_NAME = late(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRAS = late(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*\[([^\]]*)\]")
_PIN = late(r"[^;#]*?(?<![<>!~=])={1,3}\s*\w")  # conda writes one sign
_BOUND = late(r"[^;#]*?[<>=~^@]")
_REPOSITORY = late(r"(?:git\+|https?://|ssh://|file:)\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One distribution that a project asks for.

    Args:
        name: normalised.
        group: name of the extra or of the dependency group; "" for any other.
        file: name of the file that says so, relative to its folder.
        extras: of the distribution itself, as in `name[extra]`.
        conditional: it is asked for only where a marker holds.
        bounded: not every version will do; `pinned`: one version alone will.
        versions: which, as it is written.
    """

    name: str
    role: Role
    group: str = ""
    file: str = ""
    extras: tuple[str, ...] = ()
    conditional: bool = False
    bounded: bool = False
    pinned: bool = False
    versions: str = field(default="", compare=False)


def normalise(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str, role: Role, group: str = "", file: str = "") -> Iterator[Requirement]:
    """Yield the requirement that a line begins with, if it begins with one."""
    if match := _NAME.match(text):
        extras = _EXTRAS.match(text)
        named = tuple(normalise(part.strip()) for part in extras[1].split(",")) if extras else ()
        yield Requirement(
            name=normalise(match[1]),
            role=role,
            group=group,
            file=file,
            extras=tuple(name for name in named if name),
            conditional=";" in text,
            bounded=_BOUND.match(text) is not None,
            pinned=_PIN.match(text) is not None,
            versions=text[(extras or match).end() :].partition(";")[0].partition("#")[0].strip(" ()\"'"),
        )


def parse_all(items: object, role: Role, group: str = "", file: str = "") -> Iterator[Requirement]:
    """Yield the requirements of a list; whatever else it holds says nothing."""
    for item in items if isinstance(items, list | tuple) else ():
        if isinstance(item, str):
            yield from parse(item, role, group, file)


def parse_lines(lines: Iterable[str], role: Role, group: str = "", file: str = "") -> Iterator[Requirement]:
    """Yield what the lines of a requirements file ask for; its options and comments say nothing."""
    for line in lines:
        item = line.split(" #")[0].strip()
        if match := _REPOSITORY.search(item):
            yield from _of_repository(match[0], role, group, file)
        if item and not item.startswith(("#", "-", "git+", "http", ".", "/")):
            yield from parse(item, role, group, file)


def parse_conda(lines: Iterable[str], file: str) -> Iterator[Requirement]:
    """Yield what the list entries of a conda environment file ask for."""
    for line in lines:
        item = line.strip()
        if item.startswith("- "):
            entry = item[2:].strip().strip("\"'").rpartition("::")[2]
            if match := _REPOSITORY.search(entry):
                yield from _of_repository(match[0], "listed", "", file)
            yield from parse(entry, "listed", "", file)


def _of_repository(address: str, role: Role, group: str, file: str) -> Iterator[Requirement]:
    if "egg=" in address:
        yield from parse(address.rpartition("egg=")[2], role, group, file)
    plain = address.partition("#")[0].rstrip("/").rpartition("/")[2].partition("@")[0].removesuffix(".git")
    yield from parse(plain, role, group, file)
