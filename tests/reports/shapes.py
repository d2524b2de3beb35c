"""Decides what of a document no text from outside may change, in every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import html5lib

from tests.reports.parsed import shape

_FREE = ("data", "environment", "facts", "fixes")
_TYPES = {int: "number", float: "number", str: "text"}
_COMMAND = re.compile(r"::(?P<kind>\w+) (?P<properties>[^:]*)::(?P<data>.*)")


def of_json(document: str) -> Any:
    return _of_value(json.loads(document))


def of_json_lines(document: str) -> Any:
    return [of_json(line) for line in document.splitlines()]


def of_xml(document: str) -> Any:
    return _of_element(ET.fromstring(document))


def of_annotations(document: str) -> Any:
    """Return kind and names of the properties of every command, and how many lines are none."""
    lines = document.split("\n")
    found = [match for line in lines if (match := _COMMAND.fullmatch(line))]
    named = [(one["kind"], tuple(part.split("=")[0] for part in one["properties"].split(","))) for one in found]
    return named, len(lines) - len(found)


def of_html(document: str) -> Any:
    """Return the elements with what styles and scripts act on. The parser is strict: no error is forgiven."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(document)
    return [
        (element.tag, element.get("class"), element.get("id"), sorted(element.keys()))
        for element in tree.iter()
        if not _within_prose(element)
    ]


def _within_prose(element: ET.Element) -> bool:
    """Say whether an element stands within text: how many lines and code spans a text has is its own matter."""
    return element.tag in ("code", "span", "pre", "li", "p", "ul") and not element.get("id")


def of_lines(document: str) -> Any:
    return document.count("\n")


def of_agent(document: str) -> Any:
    """Return the first words of the lines that begin a part; how long an advice is depends on its text."""
    return [line.split(" ")[0] for line in document.split("\n") if re.match(r"\d+:\d+ |stage |gate |again: ", line)]


SHAPES: dict[str, Callable[[str], Any]] = {
    "md": shape,
    "json": of_json,
    "json-lines": of_json_lines,
    "sarif": of_json,
    "gitlab": of_json,
    "junit": of_xml,
    "github": of_annotations,
    "concise": of_lines,
    "agent": of_agent,
    "html": of_html,
    "intoto": of_json,
}


def _of_value(value: Any) -> Any:
    """Return keys and kinds; not of facts and evidence, whose keys are the code's own, nor of what a diff becomes."""
    if isinstance(value, dict):
        return {key: _of_value(item) for key, item in value.items() if key not in _FREE}
    if isinstance(value, list):
        return [_of_value(item) for item in value]
    return _TYPES.get(type(value), str(value))


def _of_element(element: ET.Element) -> Any:
    return element.tag, sorted(element.keys()), [_of_element(child) for child in element]
