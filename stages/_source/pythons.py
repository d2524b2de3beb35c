"""Decides which Pythons a project says it supports: the oldest 3.x that its metadata admits."""

from __future__ import annotations

import ast
import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages._source.parsing import parse_text
from stages._source.patterns import late
from stages._source.toml import read_toml
from verifier.api import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLAUSE = late(r"(===|~=|==|!=|<=|>=|<|>|\^|~|)\s*v?3(?:\.(\d+|\*))?(?:\.(\d+|\*))?(?:\.\d+|\.\*)*\Z")
_CLASSIFIER = late(r"Programming Language :: Python :: 3\.(\d+)\Z")
_SERIES = range(60)  # minor versions that are tried
_LAST_PATCH = 99
_SIZE_LIMIT = 400_000


@dataclass(frozen=True, slots=True)
class Supported:
    """What the metadata says. `oldest` is a minor version of Python 3."""

    oldest: int
    said: str  # as a reader finds it, with the name of its key


def supported_pythons(root: Path, path: str) -> Supported | None:
    """Return what the nearest metadata above a file says, not looking above the root; None where nothing says it."""
    folder = (root / path).parent
    inside = folder.is_relative_to(root)
    folders = [folder, *folder.parents] if inside else [root]
    for candidate in folders:
        found = _of_folder(candidate)
        if found is not None or candidate == root:
            return found
    return None


def oldest_admitted(specifier: str) -> int | None:
    """Return the oldest Python 3 minor that a version specifier admits; None where it cannot be told."""
    found = [_oldest(part) for part in specifier.split("||")]
    return None if None in found else min((minor for minor in found if minor is not None), default=None)


def _oldest(specifier: str) -> int | None:
    clauses = []
    for text in re.split(r"[,\s]+(?=[<>=!~^])|,", specifier.strip()):
        if not text.strip():
            continue
        read = _CLAUSE.match(text.strip())
        if read is None:
            if re.match(r"<=?\s*v?4|!=", text.strip()):  # says nothing about the oldest
                continue
            return None
        clauses.append((read[1], read[2], read[3]))
    if not clauses:
        return None
    admitted = (minor for minor in _SERIES if all(_admits(clause, minor) for clause in clauses))
    return next(admitted, None)


def _admits(clause: tuple[str, str | None, str | None], series: int) -> bool:
    """Say whether some release of the series satisfies one clause."""
    operator, minor_text, patch_text = clause
    if minor_text in (None, "*"):
        return operator != "<"
    minor = int(str(minor_text))
    patch = int(patch_text) if patch_text and patch_text != "*" else None
    match operator:
        case ">=":
            return series >= minor
        case ">":
            return series > minor or (series == minor and patch is not None)
        case "<=":
            return series <= minor
        case "<":
            return series < minor or (series == minor and bool(patch))
        case "!=":
            return series != minor or patch_text not in (None, "*")
        case "^":
            return series >= minor
        case "~=":
            return series >= minor if patch is None else series == minor
    return series == minor


def _of_folder(folder: Path) -> Supported | None:
    for said, specifier in _specifiers(folder):
        oldest = oldest_admitted(specifier)
        if oldest is not None:
            return Supported(oldest, f"{said} {specifier!r}")
    minors = sorted(int(read[1]) for text in _classifiers(folder) if (read := _CLASSIFIER.match(text)))
    return Supported(minors[0], f"its oldest classifier, Python 3.{minors[0]}") if minors else None


def _specifiers(folder: Path) -> Iterator[tuple[str, str]]:
    project = _toml(folder)
    required = _table(project, "project").get("requires-python")
    if isinstance(required, str):
        yield "requires-python", required
    poetry = _table(_table(_table(project, "tool"), "poetry"), "dependencies").get("python")
    if isinstance(poetry, str):
        yield "python", poetry
    required = _setup_cfg(folder).get("options", {}).get("python_requires")
    if required is not None:
        yield "python_requires", required.strip()
    if (required := _setup_requires(folder)) is not None:
        yield "python_requires", required


def _classifiers(folder: Path) -> Iterable[str]:
    listed = _table(_toml(folder), "project").get("classifiers")
    if isinstance(listed, list):
        yield from (item for item in listed if isinstance(item, str))
    metadata = _setup_cfg(folder).get("metadata", {})
    yield from (line.strip() for line in (metadata.get("classifiers") or metadata.get("classifier") or "").splitlines())


def _toml(folder: Path) -> dict[str, Any]:
    try:
        return read_toml(_text(folder / "pyproject.toml"))
    except (ValueError, RecursionError):
        return {}


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _setup_cfg(folder: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(_text(folder / "setup.cfg"))
    except configparser.Error:
        return {}
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _setup_requires(folder: Path) -> str | None:
    """Return what `setup.py` passes as `python_requires`: text, or a name that its module level binds to text."""
    text = _text(folder / "setup.py")
    tree = parse_text(text) if "python_requires" in text else None
    if tree is None:
        return None
    known = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "python_requires":
            value = known.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None


def _text(path: Path) -> str:
    """Return the text of a file of sober size; "" where there is none."""
    try:
        return read_regular(path, _SIZE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
