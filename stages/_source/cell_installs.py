"""Decides which distributions a notebook installs itself, by the shell lines and magics in its cells."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.requirements import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INSTALLS = late(r"\b(?:pip3?|conda|mamba)\s+(?:-\S+\s+)*install\b((?:[^;&|#\n]|(?<=\S)#)*)")
_CUT = late(r"[\\]\s*\Z")  # the command goes on on the next line
_TAKES_VALUE = frozenset({"-r", "-c", "-i", "-e", "-f", "-t", "-n", "--index-url", "--extra-index-url", "--find-links"})
_NAME = late(r"[A-Za-z0-9][\w.-]*")
_EXTRAS = late(r"[\w.-]+\[([\w\s,.-]*)\]")
_ADDRESS = late(r"(?:git\+|https?://)\S*?/([\w.-]+?)(?:\.git)?(?:@[^#\s]*)?(?:#egg=([\w.-]+).*)?\Z")


def installed_by(lines: Iterable[str]) -> frozenset[str]:
    """Return the normalised names of what `!pip install …`, `%pip install …` and the like ask for."""
    return frozenset(normalise(name) for command in _commands(lines) for name in _named(command))


def _commands(lines: Iterable[str]) -> Iterator[str]:
    pending = ""
    for line in lines:
        text = f"{pending} {line.strip()}".strip()
        pending = ""
        if "install" in text and _CUT.search(text):
            pending = _CUT.sub("", text)
            continue
        yield from _INSTALLS.findall(text)
    yield from _INSTALLS.findall(pending)


def _named(command: str) -> Iterator[str]:
    try:
        words = shlex.split(command.replace(", ", ","))
    except ValueError:  # a quote that is closed elsewhere
        words = command.replace('"', " ").replace("'", " ").split()
    skip = False
    for word in words:
        if skip or word.startswith("-"):
            skip = word in _TAKES_VALUE
        elif match := _ADDRESS.match(word):
            yield match[2] or match[1]
        elif match := _NAME.match(word):
            yield match[0]
            yield from _extras(word)


def _extras(word: str) -> Iterator[str]:
    """Yield the extras that are asked for: most bear the name of what they add."""
    if match := _EXTRAS.match(word):
        yield from (name.strip() for name in match[1].split(",") if name.strip())
