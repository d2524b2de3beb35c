"""Reads a table of a configuration file: every key known, every value of its type, or one sentence that says where."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_NAMES = {str: "a string", float: "a number", int: "a whole number", dict: "a table"}


class ConfigError(ValueError):
    """A configuration that names what does not exist, has a value of a wrong type, or contradicts itself."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the known name closest to `name`, or an empty text if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def checked(data: Mapping[str, Any], types: Mapping[str, type], where: str) -> dict[str, Any]:
    """Return `data` after checking that each key is one of `types` and each value of the type named there.

    A whole number passes for a float, and no boolean for either.

    Raises:
        ConfigError: the first key that is unknown, with the nearest one, or the first value of a wrong type.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} must be a table, not {data!r}")
    for key, value in data.items():
        if key not in types:
            raise ConfigError(
                f"{where} has no key {key!r}{nearest(str(key), types)} (keys: {', '.join(sorted(types))})"
            )
        if not _is(value, types[key]):
            raise ConfigError(f"{where}: {key} must be {_NAMES[types[key]]}, not {value!r}")
    return dict(data)


def _is(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return False
    if wanted is float:
        return isinstance(value, int | float)
    return isinstance(value, Mapping if wanted is dict else wanted)


def read_table(source: str | Path, table: str) -> tuple[dict[str, Any], str]:
    """Return a table of a TOML document and the words that name the place.

    Args:
        source: a `Path` to read, or the text of a document itself.
        table: its name, with dots between the parts: `"amp"`, `"tool.mine.amp"`.

    Raises:
        ConfigError: the document is no TOML, or has no such table.
        OSError: the file cannot be read.
    """
    name = str(source) if isinstance(source, Path) else "the text"
    try:
        found: Any = tomllib.loads(source.read_text("utf-8") if isinstance(source, Path) else source)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        is_name = isinstance(source, str) and source.strip().endswith(".toml")
        hint = "; to read a file, give a pathlib.Path" if is_name else ""
        raise ConfigError(f"{name} is not valid TOML: {error}{hint}") from error
    for part in table.split("."):
        if not isinstance(found, dict) or part not in found:
            raise ConfigError(f"{name} has no table [{table}]")
        found = found[part]
    return found, f"{name}, [{table}]"
