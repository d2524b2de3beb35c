"""The JSON Schema of `[tool.verifier]`, for editors: made of the very names and limits that the reader checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from verifier import config
from verifier.model.finding import Severity
from verifier.requirements import DEVICES, REQUIREMENTS

SCHEMA_ID = "urn:verify-amp:configuration:1"
_BOUND = r"^\s*{operators}\s*(\d+(\.\d+)?|\.\d+)\s*({units})?\s*$"
_STRINGS = {"type": "array", "items": {"type": "string", "minLength": 1}}
_CAGE: Mapping[str, Any] = {
    "pass-env": {
        **_STRINGS,
        "items": {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"},
        "description": "Environment variables that the code under verification is given besides harmless ones.",
    },
    "allow-network": {"type": "boolean", "description": "Whether the code under verification may use the network."},
}


def schema() -> dict[str, Any]:
    """Return the schema: of the table `tool.verifier` in pyproject.toml, and of verifier.toml as a whole."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",  # the one that editors and SchemaStore read
        "$id": SCHEMA_ID,
        "title": "verify: the pre-merge gate for mixed-precision training",
        "description": "The table [tool.verifier] of pyproject.toml, or verifier.toml, where the prefix is left out.",
        **_table(_top(), config.TOP_KEYS),
    }


def as_text() -> str:
    return json.dumps(schema(), indent=2)


def as_page() -> str:
    """Return the reference of the configuration: a table for each kind of table."""
    parts = [_HEAD]
    for title, table in _tables():
        required = table.get("required", ())
        rows = [
            f"| `{key}`{' (required)' if key in required else ''} | {_kind(value)} | {value.get('description', '')} |"
            for key, value in table["properties"].items()
        ]
        parts += [f"## {title}", "\n".join(["| key | value | means |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def _tables() -> Iterator[tuple[str, Mapping[str, Any]]]:
    top = schema()
    yield "`[tool.verifier]`", top
    task = top["properties"]["tasks"]["additionalProperties"]
    yield "`[tool.verifier.tasks.NAME]`", task
    yield "an element of `scripts`", task["properties"]["scripts"]["items"]
    yield "`[tool.verifier.tasks.NAME.requirements]`", task["properties"]["requirements"]
    yield "`[[tool.verifier.tasks.NAME.acceptance]]`", task["properties"]["acceptance"]["items"]


def _kind(value: Mapping[str, Any]) -> str:
    """Say in a few words what a key takes."""
    if "enum" in value:
        kind = ", ".join(f"`{name}`" for name in value["enum"])
    elif "anyOf" in value:
        kind = "a bound, or bounds by device"
    elif value["type"] == "array":
        kind = "tables" if value["items"]["type"] == "object" else "list of texts"
    else:
        kind = {"object": "table", "string": "text", "integer": "whole number", "boolean": "true or false"}[
            value["type"]
        ]
    default = value.get("default")
    return f"{kind}; default `{json.dumps(default)}`" if default is not None else kind


_HEAD = """# Configuration

Made by `verify schema --format md` of the very keys that the reader checks. The tables stand in `pyproject.toml`, or
without the prefix `tool.verifier` in `verifier.toml`. A key that is not here is an error, with its line and the nearest
name. `verify schema` prints the same as a JSON Schema for editors ([verifier.schema.json](verifier.schema.json))."""


def _table(properties: Mapping[str, Any], keys: tuple[str, ...], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a closed table with exactly the keys that the reader knows, in its order."""
    assert set(properties) == set(keys), f"the schema and the reader differ: {set(properties) ^ set(keys)}"
    closed = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: properties[key] for key in keys},
    }
    return closed | ({"required": list(required)} if required else {})


def _top() -> Mapping[str, Any]:
    return {
        "source-roots": {
            **_STRINGS,
            "default": ["."],
            "description": "Folders from which project modules are imported; the root and src always are.",
        },
        "block-at": {
            "enum": [severity.name.lower() for severity in Severity],
            "default": "high",
            "description": "The lowest severity that blocks by itself.",
        },
        "exclude": {
            **_STRINGS,
            "description": "Globs, besides what .gitignore, virtual environments and hidden folders exclude.",
        },
        "python": {
            "type": "string",
            "description": "The interpreter of the verified project, relative to the root; as --python.",
        },
        "per-file-ignores": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{3}([0-9]{3})?$"}},
            "description": "glob = codes or families that are not reported in the files it matches.",
        },
        "tasks": {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "not": {"enum": sorted(config.COMMANDS)}},
            "additionalProperties": _table(_task(), config.TASK_KEYS, ("files",)),
            "description": "What is verified together, by name.",
        },
        **_CAGE,
    }


def _task() -> Mapping[str, Any]:
    return {
        "title": {"type": "string", "description": "What the report is called; default: the name of the task."},
        "files": {**_STRINGS, "minItems": 1, "description": "Files and globs, relative to the root."},
        "tests": {**_STRINGS, "description": "Test files, folders and globs, run by pytest in stage 3."},
        "test-processes": {
            "type": "integer",
            "minimum": 1,
            "default": 1,
            "description": "Between how many pytest processes the test files are dealt out.",
        },
        "workloads": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"},
            "description": "Small training problems, as package.module:factory; trained in FP32 and under AMP.",
        },
        "scripts": {
            "type": "array",
            "items": _table(_script(), config.SCRIPT_KEYS, ("run",)),
            "description": "Training scripts, run in FP32 and under AMP.",
        },
        "requirements": _requirements(),
        "acceptance": {
            "type": "array",
            "items": _table(_criterion(), config.CRITERION_KEYS, config.CRITERION_KEYS),
            "description": "Lines that end PROVEN, NOT PROVEN or DEFERRED in the report.",
        },
        **_CAGE,
    }


def _script() -> Mapping[str, Any]:
    return {
        "run": {
            **_STRINGS,
            "minItems": 1,
            "description": "The script and the arguments of every run, after `-m` and a module or `torchrun`.",
        },
        "amp": {**_STRINGS, "description": "What is added to them for AMP."},
        "fp32": {**_STRINGS, "description": "What is added to them for FP32."},
    }


def _criterion() -> Mapping[str, Any]:
    return {
        "text": {"type": "string", "pattern": r"\S", "description": "What must hold, in words."},
        "proven-by": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[^:]+:[^:]+$"},
            "minItems": 1,
            "description": "The gates that prove it, as stage:gate.",
        },
    }


def _requirements() -> dict[str, Any]:
    properties = {}
    for name, kind in REQUIREMENTS.items():
        units = "|".join(unit for unit in kind.units if unit)
        operators = "(>=|>)" if kind.floor else "(<=|<)"
        bound = {"type": "string", "pattern": _BOUND.format(operators=operators, units=units)}
        devices = dict.fromkeys(DEVICES, bound)
        by_device = {"type": "object", "additionalProperties": False, "properties": {**devices, "only": _STRINGS}}
        properties[name] = {"description": f'Such as "{kind.example}".', "anyOf": [bound, by_device]}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "description": "What measurements must show; each becomes a gate.",
    }
