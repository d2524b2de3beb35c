"""Glob patterns of the configuration: `*` stays inside a folder, `**` crosses folders."""

from __future__ import annotations

import functools
import re


def has_magic(pattern: str) -> bool:
    """Return whether the pattern can match more than one path."""
    return any(character in pattern for character in "*?[")


@functools.cache
def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return a regular expression for whole POSIX paths relative to the root.

    A pattern that ends in `/` or names a folder followed by `/**` covers everything below it.
    """
    parts = []
    segments = pattern.strip("/").split("/")
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            parts.append(".*" if last else "(?:[^/]+/)*")
        else:
            parts.append(_segment(segment) + ("" if last else "/"))
    tail = "/.*" if pattern.endswith("/") else ""
    return re.compile("".join(parts) + tail + r"\Z", re.DOTALL)


def _segment(segment: str) -> str:
    out, index = [], 0
    while index < len(segment):
        character = segment[index]
        closing = segment.find("]", index + 2) if character == "[" else -1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif closing > 0:
            body = re.sub(r"[\\\[&~|]", r"\\\g<0>", segment[index + 1 : closing]).replace("--", r"\--")
            out.append(_character_class("^" + body[1:] if body.startswith("!") else body))
            index = closing
        else:
            out.append(re.escape(character))
        index += 1
    return "".join(out)


def _character_class(body: str) -> str:
    """Return the class, or one that matches nothing where its range is backwards (`[z-a]`), as fnmatch does."""
    try:
        re.compile(f"[{body}]")
    except re.error:
        return "(?!)"
    return f"[{body}]"
