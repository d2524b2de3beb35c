"""Decides how text from outside is shown on a terminal or in a build log, so that neither acts on it."""

from __future__ import annotations

import re

LINE_LIMIT = 600
_AHEAD = 16
_SPACE = re.compile(r"[ \t\r\n]+")
# Build systems act on these wherever they stand in a line of a log: ##[error], ##vso[task], ##teamcity[message].
_ANYWHERE = re.compile(r"##(?=(?:vso|teamcity)?\[)")
# GitHub's runner acts on `::command::` where it is the first thing in a line but blanks.
_AT_START = re.compile(r"^(?P<blank>\s*):(?=:[A-Za-z])", re.MULTILINE)


def visible(text: str) -> str:
    """Write what does not print (controls, ANSI, bidi overrides, lone surrogates) as Python escapes.

    So is one character of what a build system would take for a command, anywhere in a line.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return _ANYWHERE.sub(r"#\\x23", text) if "##" in text else text


def inert(document: str, colon: str = "\\x3a") -> str:
    """Return lines of which none begins with a command of GitHub's runner.

    Args:
        document: lines whose parts are `visible` already.
        colon: what stands for the first of the two colons.
    """
    if "::" not in document:
        return document
    return _AT_START.sub(lambda found: found["blank"] + colon, document)


def cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return printable text without line breaks, for places that need no further escaping."""
    head = text[: _AHEAD * limit]  # of ten megabytes nobody sees more
    line = _SPACE.sub(" ", head).strip()
    more = max(0, len(line) - limit) + len(text) - len(head)
    return visible(f"{line[:limit]}… ({more:,} more characters)" if more else line)
