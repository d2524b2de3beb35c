"""Decides whether a configuration file parses, by its suffix: TOML, JSON or YAML, never building what it describes."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages._source.depth import usual_depth
from stages._source.patterns import late
from stages._source.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES = (".toml", ".json", ".yaml", ".yml")
_TOML_PLACE = late(r"\s*\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)\Z")
_TEMPLATE = late(r"\{%|(?<!\$)\{\{")
_COMMENT = late(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = late(r'("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])')
_DEEPEST_YAML = 900  # what builds a document from it calls itself for each level, and Python allows a thousand
_DEEP = "nested too deeply to be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one file. `comments`: JSON only once its comments are taken out; `error` then says of the first."""

    format: str
    error: str = ""
    line: int = 1
    column: int = 1
    template: bool = False
    comments: bool = False
    document: Any = None  # of TOML


def read_format(path: str, data: bytes) -> Outcome:
    """Parse a file whose suffix is one of ours."""
    suffix = path[path.rfind(".") :].lower()
    reader: Callable[[str], Outcome] = {".toml": _toml, ".json": _json}.get(suffix, _yaml)
    name = {".toml": "TOML", ".json": "JSON"}.get(suffix, "YAML")
    try:
        text = data.decode(json.detect_encoding(data) if suffix != ".toml" else "utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        what = f"byte 0x{data[error.start]:02x} is not valid {error.encoding.upper()}"
        return Outcome(format=name, error=what, line=before.count(b"\n") + 1, column=column)
    with usual_depth():  # the readers of JSON and TOML recurse
        outcome = reader(text)
    if outcome.error and _TEMPLATE.search(text):
        return Outcome(format=name, template=True)
    return outcome


def _toml(text: str) -> Outcome:
    try:
        return Outcome(format="TOML", document=read_toml(text))
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        words = _TOML_PLACE.sub("", str(error))
        if place is None or place["line"] is None:
            return Outcome(format="TOML", error=f"{words} at the end of the file", line=_last_line(text))
        return Outcome(format="TOML", error=words, line=int(place["line"]), column=int(place["column"]))
    except RecursionError:
        return Outcome(format="TOML", error=_DEEP)


def _json(text: str) -> Outcome:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and _is_json_lines(text):
            return Outcome(format="JSON lines")
        return Outcome(
            format="JSON",
            error=error.msg if text.strip() else "the file is empty",
            line=error.lineno,
            column=error.colno,
            comments=_is_json_with_comments(text),
        )
    except RecursionError:
        return Outcome(format="JSON", error=_DEEP)
    except ValueError as error:  # an integer of more digits than Python reads
        return Outcome(format="JSON", error=str(error).partition(";")[0])
    return Outcome(format="JSON")


def _is_json_lines(text: str) -> bool:
    """Say whether every line is a document of its own, as in data sets."""
    return all(_loads(line) for line in text.splitlines() if line.strip())


def _is_json_with_comments(text: str) -> bool:
    bare = _COMMENT.sub(lambda match: match[0] if match[0].startswith('"') else " ", text)
    return bool(text.strip()) and _loads(_TRAILING.sub(lambda match: match[1] or "", bare))


def _loads(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _yaml(text: str) -> Outcome:
    import yaml  # noqa: PLC0415 - only projects that have such files pay for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    anchors: set[str] = set()
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):  # events only: tags are not resolved, nothing is built
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:
                return _yaml_error(_DEEP, event.start_mark)
            if isinstance(event, yaml.DocumentStartEvent):
                anchors.clear()
            elif isinstance(event, yaml.AliasEvent) and event.anchor not in anchors:
                return _yaml_error(f"the alias *{event.anchor} stands for nothing", event.start_mark)
            elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
                anchors.add(event.anchor)
    except yaml.MarkedYAMLError as error:
        words = error.problem or error.context or "not YAML"
        return _yaml_error(
            f"{words} ({error.context})" if error.context and error.problem else words, error.problem_mark
        )
    except yaml.reader.ReaderError as error:
        found = ord(error.character) if isinstance(error.character, str) else error.character
        character = f"U+{found:04X}" if isinstance(found, int) else "a character"
        offset = error.position if isinstance(error.position, int) else 0
        line = text.encode()[:offset].count(b"\n") + 1
        return Outcome(format="YAML", error=f"{character} is not allowed in YAML", line=line)
    except RecursionError:
        return Outcome(format="YAML", error=_DEEP)
    return Outcome(format="YAML")


def _yaml_error(words: str, mark: Any) -> Outcome:
    if mark is None:
        return Outcome(format="YAML", error=words)
    return Outcome(format="YAML", error=words, line=mark.line + 1, column=mark.column + 1)


def _last_line(text: str) -> int:
    return max(1, text.rstrip("\n").count("\n") + 1)
