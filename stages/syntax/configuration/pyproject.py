"""Decides what a library for it says of `[build-system]`, `[project]` and `[dependency-groups]` in a pyproject.toml."""

from __future__ import annotations

import functools
import importlib.util
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages._source.patterns import late
from verifier.api import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REMEDY = "install validate-pyproject with `pip install 'verify-amp[lint]'`"
_TABLES = ("build-system", "project", "dependency-groups")
_KEY = late(r"\[(\d+)\]|([^.\[\]]+)")
_STANDARD = {
    "pep508": "no valid requirement (PEP 508)",
    "pep508-identifier": "no valid name: letters, digits, `.`, `_` and `-`, a letter or digit at each end",
    "pep508-versionspec": "no valid range of versions (PEP 440)",
    "pep440": "no valid version (PEP 440)",
    "idn-email": "no e-mail address",
    "url": "no URL",
    "python-entrypoint-reference": "no reference of the form `package.module:object`",
    "python-module-name": "no name of a module",
    "SPDX": "no SPDX license expression",
}
_TYPES = {"array": "an array", "object": "a table", "string": "a string", "boolean": "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """What is wrong with a pyproject.toml: one sentence, and the key it is about."""

    message: str
    key: str
    line: int


def can_judge() -> bool:
    return importlib.util.find_spec("validate_pyproject") is not None


def judge(document: Mapping[str, Any], text: str) -> Invalid | None:
    """Return the first thing that the standards forbid; what belongs to other tools is theirs to judge."""
    tables = {name: document[name] for name in _TABLES if name in document}
    if not tables:
        return None
    from validate_pyproject.error_reporting import ValidationError  # noqa: PLC0415 - slow to import

    try:
        _validator()(tables)
    except ValidationError as error:
        key = str(error.name or "").strip("`").replace("dependency_groups", "dependency-groups")
        place = _place(key)
        wrong = _unknown(error.value, error.definition) if error.rule == "additionalProperties" else []
        if wrong:
            place = (*place, wrong[0])
        return Invalid(message=_sentence(error, key, wrong), key=key, line=line_of(text, place))
    return None


@functools.cache
def _validator() -> Callable[[Mapping[str, Any]], object]:
    """Build the validator once, without the plugins that happen to be installed and without the network."""
    from validate_pyproject import api  # noqa: PLC0415 - slow to import

    quiet = logging.getLogger("validate_pyproject")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    formats = {**api.FORMAT_FUNCTIONS, "trove-classifier": lambda _value: True}  # a list that grows; uploading tells
    validator: Callable[[Mapping[str, Any]], object] = api.Validator(plugins=(), format_validators=formats)
    return validator


def _place(key: str) -> tuple[str | int, ...]:
    return tuple(int(index) if index else name for index, name in _KEY.findall(key))


def _unknown(value: object, definition: object) -> list[str]:
    """Return the keys of a table that its definition does not have."""
    properties = definition.get("properties", {}) if isinstance(definition, dict) else {}
    return [str(key) for key in value if key not in properties] if isinstance(value, dict) else []


def _sentence(error: Any, key: str, unknown: list[str]) -> str:
    shown = f"`{key}`"
    definition = error.definition if isinstance(error.definition, dict) else {}
    if error.rule == "required" and isinstance(error.value, dict):
        missing = [name for name in definition.get("required", ()) if name not in error.value]
        more = " (nor is it listed under `dynamic`)" if missing == ["version"] else ""
        return f"{shown} lacks {_listed(missing)}{more}"
    if unknown:
        return f"{shown} has {_listed(unknown)}, which the standard does not know"
    if error.rule == "type":
        wanted = definition.get("type")
        names = [_TYPES.get(name, str(name)) for name in ([wanted] if isinstance(wanted, str) else wanted or ())]
        return f"{shown} must be {' or '.join(names)}, and is {_shown(error.value)}"
    if error.rule == "format":
        what = _STANDARD.get(str(definition.get("format")), f"not of the form {definition.get('format')}")
        return f"{shown} is {_shown(error.value)}, which is {what}"
    if error.rule == "propertyNames":
        return f"a key of {shown} is not a valid name"
    if error.rule in ("oneOf", "anyOf"):
        return f"{shown} is {_shown(error.value)}, which has none of the forms that the standard allows"
    words = str(error).strip().splitlines()
    return words[0].partition(" (PEP")[0].rstrip(".") if words else f"{shown} is not valid"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return f'"{short}"' if isinstance(value, str) else short
