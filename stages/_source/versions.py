"""Decides which versions of torch a project says it runs with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from stages._source.declarations import declarations_in
from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stages._source.requirements import Requirement

Version = tuple[int, ...]
WHERE_PROMOTES: Version = (1, 12)  # the release in which `torch.where` began to convert what it chooses between
_CLAUSE = late(r"\s*(===|==|~=|>=|<=|!=|\^|~|=|>|<)\s*v?(\d+(?:\.\d+)*)")
_NAMES = ("torch", "pytorch")


@dataclass(frozen=True, slots=True)
class Versions:
    """From `least` on, and before `before`; None where nothing bounds it. `said`: the requirement, as it is written."""

    least: Version | None = None
    before: Version | None = None
    said: str = ""

    def admit_older_than(self, version: Version) -> bool:
        """Say whether a lower bound is named, and one that lets in something older."""
        return self.least is not None and self.least < version


@dataclass(slots=True)
class TorchVersions:
    """Answers for each folder of a project once; what the folders above it say holds as well."""

    root: Path | None = None
    known: dict[str, Versions] = field(default_factory=dict)

    def of(self, path: str) -> Versions:
        """Return the versions that a file of the project is to run with."""
        return self._of_folder(PurePosixPath(path).parent)

    def _of_folder(self, folder: PurePosixPath) -> Versions:
        name = str(folder)
        if name not in self.known:
            outer = Versions() if name in (".", "/") else self._of_folder(folder.parent)
            own = Versions() if self.root is None else declared(declarations_in(self.root / name).requirements)
            self.known[name] = _both(own, outer)
        return self.known[name]


def declared(requirements: Iterable[Requirement]) -> Versions:
    """Return what all requirements of torch leave; those for development and for some platforms only do not count."""
    found = Versions()
    for item in requirements:
        if item.name in _NAMES and item.role != "development" and not item.conditional:
            found = _both(found, _read(item.name, item.versions))
    return found


def shown(version: Version) -> str:
    return ".".join(map(str, version))


def _read(name: str, text: str) -> Versions:
    least: Version | None = None
    before: Version | None = None
    for sign, number in _CLAUSE.findall(text):
        version = tuple(int(part) for part in number.split("."))
        if sign in (">=", ">", "~=", "^", "~", "==", "===", "="):
            least = version if least is None else max(least, version)
        if sign == "<":
            before = version if before is None else min(before, version)
        elif sign in ("<=", "==", "===", "=") or (sign in ("~", "~=") and len(version) > 2):
            before = (*version[:-1], version[-1] + 1) if sign not in ("~", "~=") else (*version[:-2], version[-2] + 1)
        elif sign in ("^", "~="):
            before = (version[0] + 1,)
    return Versions(least, before, f"{name}{text}" if least or before else "")


def _both(first: Versions, second: Versions) -> Versions:
    least = max((item for item in (first.least, second.least) if item), default=None)
    before = min((item for item in (first.before, second.before) if item), default=None)
    said = first.said if least is not None and least == first.least else second.said or first.said
    return Versions(least, before, said)
