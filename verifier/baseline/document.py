"""Decides how a baseline stands in its file: one line a finding, sorted, so that git shows and merges it well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifier.errors import UsageError
from verifier.model.finding import Severity
from verifier.sources import read_regular

BASELINE_SCHEMA = "verifier-baseline/1"
_KEYS = ("path", "rule", "severity", "task", "stage", "fingerprint", "reason")
_DEVICE = "device"  # only of stages that run code: elsewhere they would see other things
_PLACES = "places"  # only of a finding that concerns several
_TOP_KEYS = ("schema", "checked", "findings")
_CONFLICT = "<<<<<<<"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Entry:
    """One accepted finding: how bad it was and in how many places, where it was seen, and why it was accepted."""

    path: str
    rule: str
    severity: str
    task: str
    stage: str
    fingerprint: str
    reason: str
    device: str = ""
    places: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a project has accepted.

    Args:
        checked: the paths, relative to the root, from which the entries of `verify check` come.
    """

    entries: tuple[Entry, ...] = ()
    checked: tuple[str, ...] = ()


def read_baseline(path: Path) -> Baseline:
    """Return what a baseline file holds.

    Raises:
        UsageError: there is no such file, or it is no baseline, whole and unaltered.
    """
    try:
        text = read_regular(path).decode("utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"there is no baseline {path}; write one with `--baseline {path} --update-baseline REASON`"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(_wrong(path, "it is not UTF-8 text")) from None
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror or error}") from None
    try:
        document = json.loads(text)
    except ValueError as error:
        merging = any(line.startswith(_CONFLICT) for line in text.splitlines())
        raise UsageError(_wrong(path, "it holds a merge conflict" if merging else f"not JSON: {error}")) from None
    except RecursionError:
        raise UsageError(_wrong(path, "its values are nested too deeply")) from None
    return _baseline(path, document)


def _wrong(path: Path, reason: str) -> str:
    return f"{path} is no baseline: {reason}; take it from version control, or write it anew with --update-baseline"


def _baseline(path: Path, document: Any) -> Baseline:
    if not isinstance(document, dict) or document.get("schema") != BASELINE_SCHEMA:
        raise UsageError(_wrong(path, f'its "schema" is not "{BASELINE_SCHEMA}"'))
    if tuple(sorted(document)) != tuple(sorted(_TOP_KEYS)):
        raise UsageError(_wrong(path, f"its keys are not {', '.join(_TOP_KEYS)}"))
    checked, findings = document["checked"], document["findings"]
    if not isinstance(checked, list) or not all(isinstance(name, str) for name in checked):
        raise UsageError(_wrong(path, '"checked" must be a list of paths'))
    if not isinstance(findings, list):
        raise UsageError(_wrong(path, '"findings" must be a list'))
    entries = [_entry(path, number, item) for number, item in enumerate(findings, start=1)]
    return Baseline(entries=tuple(sorted(entries)), checked=tuple(sorted(set(checked))))


def _entry(path: Path, number: int, item: Any) -> Entry:
    here = f"finding {number}"
    if not isinstance(item, dict) or not set(_KEYS) <= set(item) <= {*_KEYS, _DEVICE, _PLACES}:
        raise UsageError(_wrong(path, f"{here} must have the keys {', '.join(_KEYS)}"))
    places = item.get(_PLACES, 1)
    if isinstance(places, bool) or not isinstance(places, int) or places < 1:
        raise UsageError(_wrong(path, f'"{_PLACES}" of {here} must be a whole number of 1 or more'))
    if not all(isinstance(value, str) for key, value in item.items() if key != _PLACES):
        raise UsageError(_wrong(path, f"the values of {here} must be text"))
    if item["severity"] not in Severity.__members__:
        raise UsageError(_wrong(path, f'{here} has the severity "{item["severity"]}", which does not exist'))
    if not item["fingerprint"] or not item["reason"].strip():
        raise UsageError(_wrong(path, f"{here} lacks its fingerprint or its reason"))
    return Entry(**item)


def written(baseline: Baseline) -> bytes:
    """Return the file: the same baseline gives the same bytes."""
    rows = ",\n".join(f"  {json.dumps(_row(entry))}" for entry in sorted(baseline.entries))
    checked = json.dumps(sorted(baseline.checked))
    findings = f"[\n{rows}\n ]" if rows else "[]"
    return f'{{\n "schema": "{BASELINE_SCHEMA}",\n "checked": {checked},\n "findings": {findings}\n}}\n'.encode()


def _row(entry: Entry) -> Mapping[str, str | int]:
    row = {key: getattr(entry, key) for key in _KEYS}
    return (
        row | ({_DEVICE: entry.device} if entry.device else {}) | ({_PLACES: entry.places} if entry.places > 1 else {})
    )


def line_in(path: Path, entry: Entry) -> int:
    """Return the line on which an entry stands in a file, 1 where nobody knows."""
    try:
        lines = read_regular(path).decode("utf-8", "replace").splitlines()
    except OSError:
        return 1
    return next((number for number, line in enumerate(lines, start=1) if entry.fingerprint in line), 1)
