"""Decides which requirements the files of one folder state, and what each of them is for."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stages._source.requirements import Requirement, normalise, parse, parse_all, parse_conda, parse_lines
from stages._source.setup_scripts import read_setup
from stages._source.toml import read_toml
from verifier.api import is_folder, read_regular, to_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stages._source.requirements import Role

_SIZE_LIMIT = 400_000
_DEVELOPMENT = re.compile(
    r"(?:^|[-_./])(?:dev|devel|test|tests|testing|doc|docs|lint|ci|build|style|typing)(?:[-_./]|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """What one folder states.

    Args:
        complete: False where some are computed and cannot be read.
        name: of the distribution, normalised; "" where there is none or it is computed.
        installs: it states what an installation of the distribution needs, so that nothing else comes with it.
    """

    requirements: tuple[Requirement, ...] = ()
    complete: bool = True
    name: str = ""
    installs: bool = False

    def __or__(self, other: Declarations) -> Declarations:
        return Declarations(
            requirements=self.requirements + other.requirements,
            complete=self.complete and other.complete,
            name=self.name or other.name,
            installs=self.installs or other.installs,
        )


def declarations_in(folder: Path) -> Declarations:
    """Return what the metadata and requirement files of a folder state; the folders above are not looked at."""
    to_list(folder)
    try:
        with os.scandir(folder) as entries:  # knows what each is without asking the system again
            files = sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return Declarations()
    found = Declarations()
    for name in files:
        if name == "setup.py":
            script = read_setup(_text(folder / name))
            found |= Declarations(
                requirements=script.requirements, complete=script.complete, name=script.name, installs=script.installs
            )
        elif name == "setup.cfg":
            found |= _setup_cfg(folder)
        elif name in {"pyproject.toml", "Pipfile"}:
            found |= _toml(folder, name)
        elif name.endswith((".txt", ".in")) and "requirement" in name.lower():
            found |= Declarations(requirements=tuple(_lines(folder, name, _role_of(name))))
        elif name.endswith((".yml", ".yaml")) and ("env" in name.lower() or "conda" in name.lower()):
            found |= Declarations(requirements=tuple(parse_conda(_text(folder / name).splitlines(), name)))
    if is_folder(folder / "requirements"):
        to_list(folder / "requirements")
        for file in sorted((folder / "requirements").glob("*.txt")):
            name = f"requirements/{file.name}"
            found |= Declarations(requirements=tuple(_lines(folder, name, _role_of(name))))
    return found


def _role_of(name: str) -> Role:
    return "development" if _DEVELOPMENT.search(name.lower().rpartition(".")[0]) else "listed"


def _text(path: Path) -> str:
    try:
        return read_regular(path, _SIZE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""


def _lines(folder: Path, name: str, role: Role, group: str = "") -> Iterator[Requirement]:
    return parse_lines(_text(folder / name).splitlines(), role, group, name)


def _table(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    value: Any = data
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _toml(folder: Path, name: str) -> Declarations:
    try:
        data = read_toml(_text(folder / name))
    except (tomllib.TOMLDecodeError, RecursionError):
        return Declarations()
    if name == "Pipfile":
        items = [*_of_table(data, "packages", "listed"), *_of_table(data, "dev-packages", "development")]
        return Declarations(requirements=tuple(replace(item, file=name) for item in items))
    project = _table(data, "project")
    poetry = _table(data, "tool", "poetry")
    found = [*_of_project(folder, data), *_of_poetry(poetry), *_of_tools(_table(data, "tool"))]
    found += parse_all(_table(data, "build-system").get("requires"), "build")
    dynamic = project.get("dynamic")
    stated = bool(project) and not (isinstance(dynamic, list) and "dependencies" in dynamic)
    title = project.get("name", poetry.get("name"))
    return Declarations(
        requirements=tuple(item if item.file else replace(item, file=name) for item in found),
        name=normalise(title) if isinstance(title, str) else "",
        installs=stated
        or isinstance(poetry.get("dependencies"), dict)
        or any(item.role == "runtime" for item in found),
    )


def _of_project(folder: Path, data: Mapping[str, Any]) -> Iterator[Requirement]:
    project = _table(data, "project")
    yield from parse_all(project.get("dependencies"), "runtime")
    for extra, items in _table(project, "optional-dependencies").items():
        yield from parse_all(items, "extra", extra)
    for group, items in _table(data, "dependency-groups").items():
        yield from parse_all(items, "development", group)
    dynamic = _table(data, "tool", "setuptools", "dynamic")
    yield from _from_files(folder, _table(dynamic, "dependencies").get("file"), "runtime")
    for extra, value in _table(dynamic, "optional-dependencies").items():
        yield from _from_files(folder, value.get("file") if isinstance(value, dict) else None, "extra", extra)


def _from_files(folder: Path, names: object, role: Role, group: str = "") -> Iterator[Requirement]:
    for name in [names] if isinstance(names, str) else names if isinstance(names, list) else ():
        yield from _lines(folder, str(name).strip(), role, group)


def _of_poetry(poetry: Mapping[str, Any]) -> Iterator[Requirement]:
    yield from _of_table(poetry, "dependencies", "runtime")
    yield from _of_table(poetry, "dev-dependencies", "development", "dev")
    for group, value in _table(poetry, "group").items():
        if isinstance(value, dict):
            yield from _of_table(value, "dependencies", "development", group)


def _of_table(data: Mapping[str, Any], key: str, role: Role, group: str = "") -> Iterator[Requirement]:
    for name, value in _table(data, key).items():
        if name.lower() == "python":
            continue
        options = value if isinstance(value, dict) else {}
        marked = isinstance(value, list) or not {"markers", "python", "platform"}.isdisjoint(options)
        optional = role == "runtime" and options.get("optional") is True
        for item in parse(name, "extra" if optional else role, group):
            extras = options.get("extras")
            named = tuple(normalise(str(extra)) for extra in extras) if isinstance(extras, list) else ()
            bounded = value != "*" and options.get("version") != "*"
            versions = value if isinstance(value, str) else str(options.get("version", ""))
            yield replace(item, conditional=marked, extras=named, bounded=bounded, versions=versions)


def _of_tools(tool: Mapping[str, Any]) -> Iterator[Requirement]:
    for group, items in _table(tool, "pdm", "dev-dependencies").items():
        yield from parse_all(items, "development", group)
    yield from parse_all(_table(tool, "uv").get("dev-dependencies"), "development", "dev")
    for group, environment in _table(tool, "hatch", "envs").items():
        if isinstance(environment, dict):
            for key in ("dependencies", "extra-dependencies"):
                yield from parse_all(environment.get(key), "development", group)


def _setup_cfg(folder: Path) -> Declarations:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(folder / "setup.cfg"))
    except configparser.Error:
        return Declarations()
    found: list[Requirement] = []
    wanted: tuple[tuple[str, Role], ...] = (
        ("install_requires", "runtime"), ("setup_requires", "build"), ("tests_require", "development"),
    )  # fmt: skip
    for key, role in wanted:
        found += _block(folder, parser.get("options", key, fallback=""), role)
    if parser.has_section("options.extras_require"):
        for extra, value in parser.items("options.extras_require"):
            found += _block(folder, value or "", "extra", extra)
    return Declarations(
        requirements=tuple(found),
        name=normalise(parser.get("metadata", "name", fallback="")),
        installs=parser.has_option("options", "install_requires"),
    )


def _block(folder: Path, text: str, role: Role, group: str = "") -> Iterator[Requirement]:
    if text.strip().startswith("file:"):
        yield from _from_files(folder, text.strip()[5:].replace(",", "\n").split(), role, group)
        return
    for line in text.splitlines():
        yield from parse(line, role, group, "setup.cfg")
